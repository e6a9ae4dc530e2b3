-- title: Scores of prompts
-- answers: How good is each version of a prompt?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param name String = '' -- one prompt, '' for all
-- column prompt -- the prompt's name
-- column version -- its version
-- column metric -- the evaluation
-- column lowest -- smallest score
-- column highest -- largest score
-- column unit -- what was judged: span, trace or conversation
-- method: Hajek means, linearised standard errors.
SELECT toString(prompt_name) AS prompt, toString(prompt_version) AS version, name AS metric, toString(unit) AS unit, count() AS n, sum(w) AS total, sum(w * y) / total AS mean,
    sqrt(greatest(0, sum(pow(w * y, 2)) - 2 * mean * sum(w * w * y) + pow(mean, 2) * sum(w * w)) * n / greatest(n - 1, 1)) / total AS standard_error, min(y) AS lowest, max(y) AS highest
FROM
(
    SELECT name, unit, prompt_name, prompt_version, sample_weight AS w, assumeNotNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS y
    FROM evaluations FINAL
    WHERE span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND prompt_name != ''
        AND prompt_name = {name:String} -- if name
        AND experiment_id = '' AND source NOT IN ('human', 'user_feedback') AND sample_weight > 0 AND coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass'))) IS NOT NULL
)
GROUP BY prompt, version, metric, unit
HAVING n >= 3
ORDER BY prompt, version, metric, unit
SETTINGS final = 0
