-- title: Kinds of errors by the hour
-- answers: Which errors are new, or came in a burst?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- column error -- the error type
-- column at -- the tool, or else the model, or else the span
-- column hours -- the hours in which it occurred
-- column counts -- estimated failures in each
-- column first_seen -- the first in the range
-- column last_seen -- the last
-- column traces -- stored traces that had it
-- method: spans without a failed child, so that one failure counts once.
SELECT error, at, groupArray(hour) AS hours, groupArray(weight) AS counts, groupArray(stored) AS stored_counts, min(first) AS first_seen, max(last) AS last_seen, sum(stored) AS n, any(kind) AS kind
FROM
(
    SELECT error_type AS error, if(tool_name != '', tool_name, if(request_model != '', request_model, name)) AS at, if(tool_name != '', 'tool', if(request_model != '', 'model', 'name')) AS kind,
        toStartOfHour(start_time) AS hour, sum(sample_weight) AS weight, count() AS stored, min(start_time) AS first, max(start_time) AS last
    FROM spans
    WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND status = 'ERROR' AND error_type != '' AND (tool_name != '' OR request_model != '' OR parent_span_id = '')
        AND (trace_id, span_id) NOT IN (SELECT trace_id, parent_span_id FROM spans WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND status = 'ERROR')
    GROUP BY error, at, kind, hour ORDER BY hour
)
GROUP BY error, at
ORDER BY n DESC
LIMIT 200
SETTINGS final = 0
