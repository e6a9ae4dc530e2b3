-- title: Traces before and after a change
-- answers: Which judged calls show best what the score was like before, and what it is like since?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param name String = '' -- the evaluation
-- param middle DateTime64(3) = 2000-01-01 00:00:00 -- when it changed, UTC
-- param segment String = '' -- of one segment, '' for all
-- param count UInt32 = 3 -- how many of each
-- column late -- 1 since the change, 0 before
-- column score -- the score
-- method: the best before and the worst since, newest first.
SELECT trace_id, span_id, span_time, span_time >= {middle:DateTime64(3)} AS late, coalesce(score, toFloat64(passed = 'pass')) AS y, y AS score, passed, explanation, segment, prompt_name, prompt_version, request_model
FROM evaluations FINAL
WHERE name = {name:String} AND source NOT IN ('human', 'user_feedback') AND span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
    AND environment = {environment:String} -- if environment
    AND service = {service:String} -- if service
    AND segment = {segment:String} -- if segment
    AND experiment_id = '' AND sample_weight > 0 AND passed != 'unknown' AND (late AND passed = 'fail' OR NOT late AND passed = 'pass')
ORDER BY if(late, y, -y), span_time DESC
LIMIT {count:UInt32} BY late
SETTINGS final = 0
