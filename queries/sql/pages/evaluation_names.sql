-- title: Names of evaluations
-- answers: Which evaluators scored something in the range?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- column name -- the evaluation
-- column unit -- what it judged: span, trace or conversation
-- column n -- rows
SELECT name, toString(unit) AS unit, count() AS n FROM evaluations
WHERE span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
    AND experiment_id = '' AND sample_weight > 0 AND source != 'human'
GROUP BY name, unit ORDER BY name, unit LIMIT 400
SETTINGS final = 0
