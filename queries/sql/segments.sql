-- title: Which segment moved
-- answers: For every value of a dimension whether its scores differ from before the period, with the multiple
--   comparisons corrected: a broken corner that the mean hides. A value that is new is held against all scores before.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param of Identifier = evaluations -- evaluations, or usage for error_rate, latency, ttft (logarithms of ms), cost, input_tokens, output_tokens
-- param metric String = '' -- evaluation name, empty for all
-- param unit String = '' -- span, trace or conversation; empty for all, each by itself
-- param by String = segment -- service, environment, request_model, prompt_name, prompt_version, system_hash or segment
-- param since_s UInt32 = 604800 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param baseline_s UInt32 = 0 -- length of the baseline just before the period in seconds, 0 for as long as the period
-- param same_weekday UInt8 = 0 -- 1 compares with the same hours and days of the weeks before only
-- param min_n UInt32 = 10 -- values with fewer scores in the period are left out
-- param q Float64 = 0.05 -- share of false findings among the findings
-- column metric -- evaluation name
-- column unit -- what the scores judge: span, trace or conversation
-- column evaluator_version -- the newest version; scores of other versions are left out
-- column value -- the dimension's value
-- column is_new -- 1 if it has fewer than min_n scores before; then it is compared with all scores before
-- column n -- its scores in the period; those of one conversation count as one
-- column effective_n -- what they are worth (Kish)
-- column share -- its weighted share of the period's scores
-- column mean -- weighted mean in the period
-- column low -- lower end of the 95 % interval of the mean
-- column high -- upper end
-- column n_before -- scores before
-- column mean_before -- weighted mean before
-- column difference -- mean minus mean before
-- column standard_error -- of the difference
-- column p -- two-sided p-value
-- column p_adjusted -- p after Benjamini and Hochberg, over all metrics and values of this answer
-- column moved -- 1 if p_adjusted is at most q
-- method: normal test of two weighted means (own standard errors, small-sample factor n / (n - 1)); Benjamini-Hochberg.
-- source: Benjamini and Hochberg (1995); evaluators/statistics/comparisons.py is its oracle.
WITH
    -- means of scores between 0 and 1 lie there, too
    ((x, on_unit) -> if(on_unit, greatest(0, least(1, x)), x)) AS cut,
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    since_time - toIntervalSecond(if({baseline_s:UInt32} = 0, {since_s:UInt32}, {baseline_s:UInt32})) AS baseline_time,
    judged AS
    (
        SELECT (s.name, toString(s.unit)) AS name, conversation_id AS conversation, evaluator_version, span_time, created_at, sample_weight AS w, span_time >= since_time AS watched,
            assumeNotNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS y,
            -- include score_group
            AS value
        FROM {of:Identifier} AS s
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND ({metric:String} = '' OR s.name = {metric:String}) AND ({unit:String} = '' OR s.unit = {unit:String})
            AND span_time >= baseline_time AND span_time < until_time
            AND ({same_weekday:UInt8} = 0 OR (toUnixTimestamp(until_time) - toUnixTimestamp(span_time)) % 604800 < {since_s:UInt32})
            AND experiment_id = '' AND source != 'human' AND sample_weight > 0
            AND (score IS NOT NULL OR passed != 'unknown')
    ),
    -- scores of one conversation move together: their weighted mean counts once, with all their weight
    scored AS
    (
        SELECT name, evaluator_version, watched, value, span_time, created_at, y, w FROM judged WHERE conversation = ''
        UNION ALL
        SELECT name, evaluator_version, watched, value, max(j.span_time) AS span_time, max(j.created_at) AS created_at, sum(j.w * j.y) / sum(j.w) AS y, sum(j.w) AS w
        FROM judged AS j WHERE conversation != '' GROUP BY name, evaluator_version, watched, value, conversation
    ),
    sums AS
    (
        SELECT name, evaluator_version, watched, value, count() AS n, (max(span_time), max(created_at)) AS last, groupArray(y) AS ys, groupArray(w) AS ws,
            sum(w) AS total, sum(w * w) AS squared_weights, min(y) AS lowest, max(y) AS highest,
            if(lowest = highest, lowest, sum(w * y) / total) AS mean
        FROM scored GROUP BY name, evaluator_version, watched, value
    ),
    -- deviations from the segment's own mean, and from the mean of all segments
    moments AS
    (
        SELECT *, arraySum((y, w) -> pow(w * (y - mean), 2), ys, ws) AS squares,
            if(min(lowest) OVER side = max(highest) OVER side, lowest, sum(total * mean) OVER side / sum(total) OVER side) AS all_mean,
            arraySum((y, w) -> pow(w * (y - all_mean), 2), ys, ws) AS all_squares, sum(n) OVER side AS all_n, sum(total) OVER side AS all_total
        FROM (SELECT *, argMax(evaluator_version, last) OVER (PARTITION BY name) AS newest FROM sums)
        WHERE evaluator_version = newest
        WINDOW side AS (PARTITION BY name, watched)
    ),
    errors AS
    (
        SELECT name, evaluator_version, watched, value, n, pow(total, 2) / squared_weights AS effective_n, total / all_total AS share, mean, lowest, highest,
            squares * n / greatest(n - 1, 1) / pow(total, 2) AS squared_error, all_n, all_mean,
            sum(all_squares) OVER (PARTITION BY name, watched) * all_n / greatest(all_n - 1, 1) / pow(all_total, 2) AS all_squared_error
        FROM moments
    ),
    sides AS
    (
        SELECT name, evaluator_version, value, maxIf(tuple(n, effective_n, share, mean, squared_error, lowest, highest), watched) AS a,
            maxIf(tuple(n, mean, squared_error), NOT watched) AS own,
            max(maxIf(tuple(all_n, all_mean, all_squared_error), NOT watched)) OVER (PARTITION BY name) AS whole
        FROM errors GROUP BY name, evaluator_version, value
    ),
    compared AS
    (
        SELECT name.1 AS metric, name.2 AS unit, evaluator_version, value, own.1 < {min_n:UInt32} AS is_new, a.1 AS n, a.2 AS effective_n, a.3 AS share, a.4 AS mean, sqrt(a.5) AS own_error, a.6 >= 0 AND a.7 <= 1 AS on_unit,
            if(is_new, whole, own) AS b, b.1 AS n_before, b.2 AS mean_before, mean - mean_before AS difference, sqrt(a.5 + b.3) AS standard_error,
            multiIf(n_before < {min_n:UInt32} OR difference = 0, 1, standard_error = 0, 0, erfc(abs(difference) / standard_error / sqrt(2))) AS p
        FROM sides WHERE a.1 >= {min_n:UInt32}
    ),
    adjusted AS
    (
        SELECT *, least(1, min(p * tests / place) OVER (ORDER BY p DESC, place DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)) AS p_adjusted
        FROM (SELECT *, row_number() OVER (ORDER BY p) AS place, count() OVER () AS tests FROM compared)
    )
SELECT metric, unit, evaluator_version, value, is_new, n, effective_n, share, mean,
    cut(mean - 1.959963984540054 * own_error, on_unit) AS low, cut(mean + 1.959963984540054 * own_error, on_unit) AS high,
    n_before, mean_before, difference, standard_error, p, p_adjusted, p_adjusted <= {q:Float64} AS moved
FROM adjusted
ORDER BY metric, unit, p, value
