-- title: Daily numbers of the services
-- answers: Since when does a service fail more, cost more or score lower?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param bucket_s UInt32 = 21600 -- seconds of one point
-- column kind -- cost, errors, or the evaluation's name after score.
-- column value -- the service
-- column time -- start of the bucket
-- column n -- stored traces or scores
-- column total -- their weight
-- column amount -- weighted cost, failed traces or sum of scores
-- column of_passed -- weighted sum of the scores that passed
-- column of_failed -- and of those that failed: higher than those that passed where lower is better
-- column unit -- what a score judges: span, trace or conversation
SELECT 'cost' AS kind, toString(service) AS value, toDateTime(toStartOfInterval(toDateTime64(start_time, 3, 'UTC'), toIntervalSecond({bucket_s:UInt32}), toDateTime64('1970-01-05', 3, 'UTC')), 'UTC') AS time,
    count() AS n, sum(sample_weight) AS total, sum(sample_weight * ifNull(cost_usd, 0)) AS amount, 0. AS of_passed, 0. AS passed_weight, 0. AS of_failed, 0. AS failed_weight, 'span' AS unit
FROM spans
WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND role = 'call' AND cost_usd > 0
GROUP BY value, time
UNION ALL
SELECT 'errors' AS kind, toString(service) AS value, toDateTime(toStartOfInterval(toDateTime64(start_time, 3, 'UTC'), toIntervalSecond({bucket_s:UInt32}), toDateTime64('1970-01-05', 3, 'UTC')), 'UTC') AS time, count() AS n, sum(sample_weight) AS total, sumIf(sample_weight, status = 'ERROR') AS amount, 0. AS of_passed, 0. AS passed_weight, 0. AS of_failed, 0. AS failed_weight, 'span' AS unit
FROM spans
WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND (parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER'))
GROUP BY value, time
UNION ALL
SELECT concat('score.', name) AS kind, toString(service) AS value, toDateTime(toStartOfInterval(toDateTime64(span_time, 3, 'UTC'), toIntervalSecond({bucket_s:UInt32}), toDateTime64('1970-01-05', 3, 'UTC')), 'UTC') AS time, count() AS n, sum(w) AS total, sum(w * y) AS amount, sumIf(w * y, passed = 'pass') AS of_passed, sumIf(w, passed = 'pass') AS passed_weight, sumIf(w * y, passed = 'fail') AS of_failed, sumIf(w, passed = 'fail') AS failed_weight, toString(judged) AS unit
FROM
(
    SELECT name, unit AS judged, passed, service, span_time, sample_weight AS w, assumeNotNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS y
    FROM evaluations FINAL
    WHERE span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND experiment_id = '' AND source NOT IN ('human', 'user_feedback') AND sample_weight > 0 AND coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass'))) IS NOT NULL
        AND (name, unit, evaluator_version) IN (SELECT name, unit, argMax(evaluator_version, span_time) FROM evaluations WHERE span_time < {end:DateTime64(3)} AND ({project:String} = '' OR project = {project:String}) AND experiment_id = '' AND source NOT IN ('human', 'user_feedback') GROUP BY name, unit)
)
GROUP BY name, judged, value, time
SETTINGS final = 0
