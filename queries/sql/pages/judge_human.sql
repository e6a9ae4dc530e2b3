-- title: Judge against human
-- answers: Where people judged the same spans, how often did the evaluator agree?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param name String = '' -- an evaluator
-- param unit String = span -- span, trace or conversation: what was judged
-- column both_fail -- both failed it
-- column only_judge -- only the evaluator failed it
-- column only_human -- only the person failed it
-- column both_pass -- both passed it
WITH
    judged AS (SELECT trace_id, span_id, if(unit = 'conversation', conversation_id, '') AS conversation, argMax(passed, created_at) AS verdict FROM evaluations
        WHERE name = {name:String} AND unit = {unit:String} AND source IN ('code', 'llm_judge') AND passed != 'unknown' AND span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND experiment_id = '' GROUP BY trace_id, span_id, conversation),
    people AS (SELECT trace_id, span_id, if(unit = 'conversation', conversation_id, '') AS conversation, countIf(passed = 'fail') * 2 >= count() AS failed, max(created_at) AS at FROM evaluations
        WHERE name = {name:String} AND unit = {unit:String} AND source = 'human' AND passed != 'unknown' AND span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND experiment_id = '' GROUP BY trace_id, span_id, conversation)
SELECT count() AS n, countIf(verdict = 'fail' AND failed) AS both_fail, countIf(verdict = 'fail' AND NOT failed) AS only_judge,
    countIf(verdict = 'pass' AND failed) AS only_human, countIf(verdict = 'pass' AND NOT failed) AS both_pass, max(at) AS newest
FROM judged INNER JOIN people USING (trace_id, span_id, conversation)
