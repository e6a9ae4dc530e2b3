-- title: Ids of the traces of a list
-- answers: Which traces does the list hold under its filters?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param every UInt8 = 0 -- 1 counts traces also without a root span in the store
-- column trace_id -- the trace
SELECT DISTINCT trace_id
FROM spans
WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
    AND environment = {environment:String} -- if environment
    AND service = {service:String} -- if service
    AND (parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER') OR {every:UInt8} = 1)
-- slot conditions
LIMIT 50000
SETTINGS final = 0
