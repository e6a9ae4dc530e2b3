-- title: Evaluators at work
-- answers: What did each evaluator do in the range, what failed, what did it cost?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- column unscored -- evaluations that gave no score
-- column cost_usd -- what its judge cost
SELECT name, toString(source) AS source, argMax(evaluator_version, created_at) AS evaluator_version, any(judge_model) AS judge_model, count() AS n,
    countIf(error != '' OR (score IS NULL AND label = '' AND passed = 'unknown')) AS unscored,
    countIf(passed = 'fail') AS failed, sum(judge_cost_usd) AS cost_usd, max(created_at) AS last, topK(1)(if(error = '', NULL, error))[1] AS common_error
FROM evaluations
WHERE span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND experiment_id = '' AND sample_weight > 0
GROUP BY name, source ORDER BY n DESC
