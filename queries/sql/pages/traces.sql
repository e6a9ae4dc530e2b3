-- title: Latest traces
-- answers: What came in, newest first, or first by another column?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param every UInt8 = 0 -- 1 for every trace also without a root span in the store
-- param after DateTime64(3) = '' -- only what was ingested after this moment, '' for all
-- param by_duration UInt8 = 0 -- 1 sorts by duration, longest first
-- param by_time UInt8 = 1 -- 1 sorts by time, newest first
-- param oldest UInt8 = 0 -- 1 sorts by time, oldest first
-- param ids Array(String) = [] -- with chosen: the traces to list
-- param hours Array(DateTime('UTC')) = [] -- with chosen: the hours in which they entered
-- param chosen UInt8 = 0 -- 1 lists these traces only
-- param rows UInt32 = 50 -- how many
-- param skip UInt32 = 0 -- how many are left out first
-- column trace_id -- the trace
-- column span_id -- the span by which it entered
-- column start_time -- when that span began
-- method: ids alone; what the rows show is read by pages/trace_rows. Slot: conditions on the trace.
SELECT trace_id, span_id, start_time
FROM spans
WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
    AND environment = {environment:String} -- if environment
    AND service = {service:String} -- if service
    AND ingested_at > {after:DateTime64(3)} -- if after
    AND toStartOfHour(start_time) IN {hours:Array(DateTime('UTC'))} AND trace_id IN {ids:Array(String)} -- if chosen
    AND (parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER') OR {every:UInt8} = 1)
-- slot conditions
ORDER BY
    duration_ns DESC, -- if by_duration
    start_time ASC, -- if oldest
    start_time DESC, span_id
LIMIT 1 BY trace_id
LIMIT {skip:UInt32}, {rows:UInt32}
SETTINGS final = 0
