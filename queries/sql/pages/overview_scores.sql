-- title: Scores of the services, now and before
-- answers: Which score of each service is lowest, and how was it a week before?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param before_start DateTime64(3) = 1970-01-01 00:00:00 -- start of what is compared with
-- param before_end DateTime64(3) = 1970-01-01 00:00:00 -- its end
-- column value -- the service
-- column name -- the evaluation
-- column unit -- what was judged: span, trace or conversation
-- column late -- 1 for the range, 0 for what it is compared with
-- column mean -- weighted mean
-- column standard_error -- of the mean
-- column lowest -- smallest score
-- column highest -- largest score
-- column lower_is_better -- 1 where what failed scored higher than what passed
-- column failed -- weighted share that failed
-- method: Hajek means, linearised standard errors; the newest version of each evaluator in the range only.
SELECT toString(service) AS value, name, toString(unit) AS unit, late, count() AS n, sum(w) AS total, sum(w * y) / total AS mean, sumIf(w, passed = 'fail') / total AS failed, ifNull(sumIf(w * y, passed = 'fail') / nullIf(sumIf(w, passed = 'fail'), 0) > sumIf(w * y, passed = 'pass') / nullIf(sumIf(w, passed = 'pass'), 0), 0) AS lower_is_better,
    sqrt(greatest(0, sum(pow(w * y, 2)) - 2 * mean * sum(w * w * y) + pow(mean, 2) * sum(w * w)) * n / greatest(n - 1, 1)) / total AS standard_error, min(y) AS lowest, max(y) AS highest
FROM
(
    SELECT service, name, unit, span_time >= {start:DateTime64(3)} AS late, sample_weight AS w, passed, assumeNotNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS y
    FROM evaluations FINAL
    WHERE (span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)} OR span_time >= {before_start:DateTime64(3)} AND span_time < {before_end:DateTime64(3)})
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND experiment_id = '' AND source NOT IN ('human', 'user_feedback') AND sample_weight > 0 AND coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass'))) IS NOT NULL
        AND (name, unit, evaluator_version) IN (SELECT name, unit, argMax(evaluator_version, span_time) FROM evaluations WHERE span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)} AND ({project:String} = '' OR project = {project:String}) AND experiment_id = '' AND source NOT IN ('human', 'user_feedback') GROUP BY name, unit)
)
GROUP BY value, name, unit, late
HAVING n >= 5
ORDER BY value, name, unit, late
SETTINGS final = 0
