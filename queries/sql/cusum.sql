-- title: CUSUM of a score's window means
-- answers: The classical control chart for small lasting shifts of every score against the time before the period;
--   a second opinion beside the e-detector, without its guarantee under continuous looking.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param of Identifier = evaluations -- evaluations, or usage for error_rate, latency, ttft (logarithms of ms), cost, input_tokens, output_tokens
-- param metric String = '' -- evaluation name, empty for all
-- param unit String = '' -- span, trace or conversation; empty for all, each by itself
-- param since_s UInt32 = 604800 -- length of the watched period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param baseline_s UInt32 = 0 -- length of the baseline just before the period in seconds, 0 for as long as the period
-- param window_s UInt32 = 86400 -- length of a window in seconds
-- param min_n UInt32 = 10 -- windows with fewer scores are left out; those of one conversation count as one
-- param allowance Float64 = 0.5 -- slack per window, in standard deviations of the baseline's window means
-- param decision Float64 = 5 -- alarm above this, in the same unit
-- column metric -- evaluation name
-- column unit -- what the scores judge: span, trace or conversation
-- column evaluator_version -- the newest version; scores of other versions are left out
-- column window_start -- start of the window
-- column n -- scores in the window; those of one conversation count as one
-- column mean -- weighted mean of the window
-- column baseline_mean -- mean of the baseline's window means
-- column baseline_sd -- standard deviation of the baseline's window means
-- column high -- upper cumulative sum, in the unit of the score
-- column low -- lower cumulative sum, in the unit of the score
-- column alarm -- increase or decrease where a sum exceeds the decision
-- method: tabular CUSUM; a baseline of fewer than two windows gives no rows.
-- source: Page (1954); NIST/SEMATECH 6.3.2.3; evaluators/statistics/sequential.py is its oracle.
WITH
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    since_time - toIntervalSecond(if({baseline_s:UInt32} = 0, {since_s:UInt32}, {baseline_s:UInt32})) AS baseline_time,
    scored AS
    (
        SELECT (s.name, toString(s.unit)) AS name, conversation_id AS conversation, evaluator_version, span_time, created_at, sample_weight AS w, span_time >= since_time AS watched,
            toStartOfInterval(toDateTime64(span_time, 3, 'UTC'), toIntervalSecond({window_s:UInt32}), toDateTime64('1970-01-05', 3, 'UTC')) AS window,
            assumeNotNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS y
        FROM {of:Identifier} AS s
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND ({metric:String} = '' OR s.name = {metric:String}) AND ({unit:String} = '' OR s.unit = {unit:String})
            AND span_time >= baseline_time AND span_time < until_time
            AND experiment_id = '' AND source != 'human' AND sample_weight > 0
            AND (score IS NOT NULL OR passed != 'unknown')
    ),
    newest AS (SELECT name, argMax(evaluator_version, (span_time, created_at)) AS evaluator_version FROM scored GROUP BY name),
    windows AS
    (
        SELECT name, any(evaluator_version) AS version_used, watched, window, countIf(conversation = '') + uniqExactIf(conversation, conversation != '') AS n,
            if(min(y) = max(y), min(y), sum(w * y) / sum(w)) AS mean
        FROM scored WHERE (name, evaluator_version) IN (SELECT name, evaluator_version FROM newest)
        GROUP BY name, watched, window HAVING n >= {min_n:UInt32}
    ),
    baselines AS
    (
        SELECT name, avg(mean) AS baseline_mean, stddevSampStable(mean) AS baseline_sd
        FROM windows WHERE NOT watched GROUP BY name HAVING count() >= 2
    ),
    series AS
    (
        SELECT name, any(baseline_mean) AS target, any(baseline_sd) AS spread, any(version_used) AS evaluator_version,
            arraySort(groupArray((window, n, mean))) AS s,
            arrayPopFront(arrayFold((sums, x) -> arrayPushBack(sums, (
                    greatest(0., sums[-1].1 + x - target - {allowance:Float64} * spread),
                    greatest(0., sums[-1].2 + target - x - {allowance:Float64} * spread))),
                s.3, [(toFloat64(0), toFloat64(0))])) AS sums_of
        FROM windows INNER JOIN baselines USING (name) WHERE watched GROUP BY name
    )
SELECT name.1 AS metric, name.2 AS unit, evaluator_version, s[i].1 AS window_start, s[i].2 AS n, s[i].3 AS mean,
    target AS baseline_mean, spread AS baseline_sd, sums_of[i].1 AS high, sums_of[i].2 AS low,
    multiIf(high > {decision:Float64} * spread AND high > low, 'increase', low > {decision:Float64} * spread, 'decrease', '') AS alarm
FROM series ARRAY JOIN arrayEnumerate(s) AS i
ORDER BY metric, unit, window_start
