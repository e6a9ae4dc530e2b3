-- title: One score over time
-- answers: How did this score move, with which certainty?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param name String = '' -- an evaluator
-- param unit String = span -- span, trace or conversation: what was judged
-- param source String = '' -- code, llm_judge, human, user_feedback or sdk, '' for all but human
-- param bucket_s UInt32 = 86400 -- seconds of one point
-- column time -- start of the bucket
-- column n -- scores
-- column unscored -- evaluations that gave none
-- column effective_n -- what the scores are worth (Kish)
-- column mean -- weighted mean
-- column low -- 95 % interval, lower end
-- column high -- 95 % interval, upper end
-- method: Hajek mean with weights 1/probability; interval linearised, for pass and fail Wilson's on Kish's effective size.
SELECT time, n, unscored, effective_n, if(n = 0, NULL, mean) AS mean,
    -- 95 %: Wilson's score interval on the effective size for pass and fail, else the linearised normal one
    (mean + 1.9207 / effective_n) / (1 + 3.8415 / effective_n) AS wilson_middle,
    1.96 / (1 + 3.8415 / effective_n) * sqrt(mean * (1 - mean) / effective_n + 0.9604 / pow(effective_n, 2)) AS wilson_half,
    if(n < 2, NULL, multiIf(two_valued, greatest(0, wilson_middle - wilson_half), on_unit, greatest(0, mean - 1.96 * standard_error), mean - 1.96 * standard_error)) AS low,
    if(n < 2, NULL, multiIf(two_valued, least(1, wilson_middle + wilson_half), on_unit, least(1, mean + 1.96 * standard_error), mean + 1.96 * standard_error)) AS high,
    versions
FROM
(
    SELECT toDateTime(toStartOfInterval(toDateTime64(span_time, 3, 'UTC'), toIntervalSecond({bucket_s:UInt32}), toDateTime64('1970-01-05', 3, 'UTC')), 'UTC') AS time, groupUniqArray(evaluator_version) AS versions,
        count(y) AS n, countIf(y IS NULL) AS unscored, sumIf(w, y IS NOT NULL) AS total, pow(total, 2) / sumIf(w * w, y IS NOT NULL) AS effective_n,
        sum(w * y) / total AS mean,
        sqrt(greatest(0, sum(w * w * y * y) - 2 * mean * sum(w * w * y) + mean * mean * sumIf(w * w, y IS NOT NULL)) * n / greatest(n - 1, 1)) / total AS standard_error,
        min(y IN (0, 1)) AS two_valued, min(y) >= 0 AND max(y) <= 1 AS on_unit
    FROM (SELECT *, sample_weight AS w, coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass'))) AS y FROM evaluations
        WHERE name = {name:String} AND unit = {unit:String} AND if({source:String} = '', source != 'human', toString(source) = {source:String}) AND span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND experiment_id = '' AND sample_weight > 0)
    GROUP BY time
)
ORDER BY time
