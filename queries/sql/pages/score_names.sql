-- title: All scores
-- answers: How does each evaluator judge the range, how sure, and how much was not judged?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- column unit -- what was judged: span, trace or conversation; means never mix them
-- column n -- scores
-- column unscored -- evaluations that gave none
-- column effective_n -- what the scores are worth (Kish)
-- column mean -- weighted mean
-- column low -- 95 % interval, lower end
-- column high -- 95 % interval, upper end
-- column p10 -- weighted tenth percentile, within 0.4 %
-- column failed -- weighted share of failed among those judged
-- method: Hajek mean with weights 1/probability; interval linearised, for pass and fail Wilson's on Kish's effective size.
SELECT name, toString(unit) AS unit, evaluator_version, toString(source) AS source, n, unscored, effective_n, mean,
    -- 95 %: Wilson's score interval on the effective size for pass and fail, else the linearised normal one
    (mean + 1.9207 / effective_n) / (1 + 3.8415 / effective_n) AS wilson_middle,
    1.96 / (1 + 3.8415 / effective_n) * sqrt(mean * (1 - mean) / effective_n + 0.9604 / pow(effective_n, 2)) AS wilson_half,
    if(n < 2, NULL, multiIf(two_valued, greatest(0, wilson_middle - wilson_half), on_unit, greatest(0, mean - 1.96 * standard_error), mean - 1.96 * standard_error)) AS low,
    if(n < 2, NULL, multiIf(two_valued, least(1, wilson_middle + wilson_half), on_unit, least(1, mean + 1.96 * standard_error), mean + 1.96 * standard_error)) AS high,
    p10, failed, judged, cost_usd, first, last, judge_model, versions
FROM
(
    SELECT name, unit, source, argMax(version_, span_time) AS evaluator_version, count(DISTINCT version_) AS versions,
        count(y) AS n, countIf(y IS NULL) AS unscored, sumIf(w, y IS NOT NULL) AS total, pow(total, 2) / sumIf(w * w, y IS NOT NULL) AS effective_n,
        sum(w * y) / total AS mean,
        sqrt(greatest(0, sum(w * w * y * y) - 2 * mean * sum(w * w * y) + mean * mean * sumIf(w * w, y IS NOT NULL)) * n / greatest(n - 1, 1)) / total AS standard_error,
        min(y IN (0, 1)) AS two_valued, min(y) >= 0 AND max(y) <= 1 AS on_unit,
        quantileBFloat16Weighted(0.1)(assumeNotNull(y), toUInt64(if(y IS NULL, 0, round(w * 100)))) AS p10,
        sumIf(w, passed = 'fail') / sumIf(w, passed != 'unknown') AS failed, countIf(passed != 'unknown') AS judged,
        sum(judge_cost_usd) AS cost_usd, min(span_time) AS first, max(span_time) AS last, any(judge_model) AS judge_model
    FROM
    (
        SELECT name, unit, source, evaluator_version AS version_, span_time, sample_weight AS w, coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass'))) AS y,
            passed, judge_cost_usd, judge_model
        FROM evaluations
        WHERE span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND experiment_id = '' AND sample_weight > 0
    )
    GROUP BY name, source, unit
)
ORDER BY source = 'human', name, source, unit = 'conversation', unit = 'trace'
