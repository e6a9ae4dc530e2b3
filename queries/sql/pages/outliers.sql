-- title: Slow and failed traces among the others
-- answers: Which traces stand out?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param every UInt8 = 0 -- 1 for every trace also without a root span in the store
-- column duration_ns -- of the span by which the trace entered
-- method: the forty slowest, then failed and drawn ones. Slot: conditions on the trace.
SELECT DISTINCT *
FROM
(
    SELECT trace_id, start_time, duration_ns, toString(status) AS status, name
    FROM spans
    WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
    AND environment = {environment:String} -- if environment
    AND service = {service:String} -- if service
    AND (parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER') OR {every:UInt8} = 1)
-- slot conditions
    ORDER BY duration_ns DESC LIMIT 40
    UNION ALL
    SELECT trace_id, start_time, duration_ns, toString(status) AS status, name
    FROM spans
    WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
    AND environment = {environment:String} -- if environment
    AND service = {service:String} -- if service
    AND (parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER') OR {every:UInt8} = 1)
-- slot conditions
    ORDER BY spans.status = 'ERROR' DESC, cityHash64(trace_id) LIMIT 110
)
ORDER BY start_time
SETTINGS final = 0
