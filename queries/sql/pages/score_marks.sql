-- title: Changes of prompt, model and evaluator
-- answers: What was first seen inside the range among the calls that this evaluation judged?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param name String = '' -- an evaluator
-- param unit String = span -- span, trace or conversation: what was judged
-- column kind -- prompt, system, model or evaluator
-- column value -- what was new
-- column time -- when it was first seen
SELECT kind, value, min(seen) AS time, sum(n) AS n
FROM
(
    SELECT pair.1 AS kind, pair.2 AS value, min(start_time) AS seen, count() AS n
    FROM (SELECT span_time AS start_time, arrayJoin([('prompt', if(prompt_version = '', '', trim(concat(prompt_name, ' ', prompt_version)))), ('system', substring(system_hash, 1, 8)), ('model', toString(request_model))]) AS pair
        FROM evaluations WHERE name = {name:String} AND unit = {unit:String} AND source != 'human' AND span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND experiment_id = '' AND sample_weight > 0)
    WHERE pair.2 != '' GROUP BY kind, value
    UNION ALL
    SELECT 'evaluator', concat(name, ' version ', evaluator_version), min(span_time), count()
    FROM evaluations WHERE name = {name:String} AND unit = {unit:String} AND source != 'human' AND span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND experiment_id = '' GROUP BY name, evaluator_version
)
GROUP BY kind, value
ORDER BY time
LIMIT 40
SETTINGS final = 0
