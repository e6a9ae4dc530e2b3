-- title: Two versions of an evaluator on the same calls
-- answers: Whether a new evaluator version scores the same calls differently than the old one: to be looked at before
--   the switch, because their scores are never mixed in a trend.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param metric String -- evaluation name
-- param unit String = '' -- span, trace or conversation; empty for all, each by itself
-- param old String -- the version in use
-- param new String -- the version to come
-- param since_s UInt32 = 2592000 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- column metric -- evaluation name
-- column unit -- what the scores judge: span, trace or conversation
-- column calls -- calls that both scored
-- column mean_old -- mean score of the old version on them
-- column mean_new -- mean score of the new version on them
-- column difference -- new minus old
-- column standard_error -- of the difference
-- column low -- lower end of its 95 % interval, normal
-- column high -- upper end
-- column correlation -- Pearson correlation of the two
-- column same_verdict -- share of calls with the same verdict, where both have one
-- column only_old_passed -- calls that only the old version passes
-- column only_new_passed -- calls that only the new version passes
-- method: paired difference over calls, weighted means are of no use here: the calls are the same.
-- source: Student (1908); evaluators/statistics/comparisons.py is its oracle.
WITH
    -- means of scores between 0 and 1 differ by 1 at most
    ((x, on_unit) -> if(on_unit, greatest(-1, least(1, x)), x)) AS cut,
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    scored AS
    (
        SELECT toString(s.unit) AS unit, if(s.unit = 'conversation', s.conversation_id, s.trace_id) AS trace_id, span_id, evaluator_version = {new:String} AS is_new,
            assumeNotNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS y, toString(passed) AS verdict
        FROM evaluations AS s
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND s.name = {metric:String} AND ({unit:String} = '' OR s.unit = {unit:String}) AND evaluator_version IN ({old:String}, {new:String})
            AND source IN ('code', 'llm_judge') AND experiment_id = '' AND (score IS NOT NULL OR passed != 'unknown')
            AND span_time >= until_time - toIntervalSecond({since_s:UInt32}) AND span_time < until_time
    ),
    both AS
    (
        SELECT unit, trace_id, span_id, anyIf(y, NOT is_new) AS a, anyIf(y, is_new) AS b, anyIf(verdict, NOT is_new) AS va, anyIf(verdict, is_new) AS vb
        FROM scored GROUP BY unit, trace_id, span_id HAVING countIf(is_new) > 0 AND countIf(NOT is_new) > 0
    ),
    summed AS
    (
        SELECT unit, count() AS n, least(min(a), min(b)) >= 0 AND greatest(max(a), max(b)) <= 1 AS on_unit, avg(a) AS mean_a, avg(b) AS mean_b, if(n < 2, NULL, if(min(b - a) = max(b - a), 0, stddevSampStable(b - a) / sqrt(n))) AS error,
            if(min(a) = max(a) OR min(b) = max(b), NULL, corrStable(a, b)) AS together,
            countIf(va != 'unknown' AND vb != 'unknown') AS verdicts, countIf(va = vb AND va != 'unknown') AS same,
            countIf(va = 'pass' AND vb = 'fail') AS lost, countIf(va = 'fail' AND vb = 'pass') AS won
        FROM both GROUP BY unit
    )
SELECT {metric:String} AS metric, unit, n AS calls, mean_a AS mean_old, mean_b AS mean_new, mean_b - mean_a AS difference, error AS standard_error,
    cut(difference - 1.959963984540054 * error, on_unit) AS low, cut(difference + 1.959963984540054 * error, on_unit) AS high, together AS correlation,
    if(verdicts = 0, NULL, same / verdicts) AS same_verdict, lost AS only_old_passed, won AS only_new_passed
FROM summed WHERE n > 0
ORDER BY unit
