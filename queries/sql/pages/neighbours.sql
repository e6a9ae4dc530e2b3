-- title: The traces before and after
-- answers: Which trace entered just before and just after this moment?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param at DateTime64(9) = 1970-01-01 00:00:00 -- the moment
-- param trace String = '' -- the trace at that moment
-- column newer -- the next younger trace
-- column older -- the next older trace
SELECT
    argMinIf(trace_id, start_time, start_time > {at:DateTime64(9)}) AS newer,
    argMaxIf(trace_id, start_time, start_time < {at:DateTime64(9)}) AS older
FROM spans
WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
    AND environment = {environment:String} -- if environment
    AND service = {service:String} -- if service
    AND start_time > {at:DateTime64(9)} - INTERVAL 1 DAY AND start_time < {at:DateTime64(9)} + INTERVAL 1 DAY
    AND (parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER')) AND trace_id != {trace:String}
SETTINGS final = 0
