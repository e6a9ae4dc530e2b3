-- title: Sessions
-- answers: Which conversations took place, how long, how good?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param q String = '' -- a session or user id, '' for all
-- column turns -- traces in the session
SELECT conversation_id, any(user_id) AS user, uniqExact(trace_id) AS turns, min(start_time) AS first, max(start_time) AS last,
    countIf(status = 'ERROR') AS errors, sumIf(ifNull(input_tokens, 0) + ifNull(output_tokens, 0), role = 'call') AS tokens,
    sumIf(cost_usd, role = 'call') AS cost_usd, groupUniqArray(3)(service) AS services
FROM spans
WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
    AND environment = {environment:String} -- if environment
    AND service = {service:String} -- if service
    AND conversation_id != '' AND ({q:String} = '' OR conversation_id = {q:String} OR user_id = {q:String})
GROUP BY conversation_id
ORDER BY last DESC
LIMIT 100
SETTINGS final = 0
