-- title: Evaluators that failed
-- answers: Which evaluators failed traces of the list, and how many?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param every UInt8 = 0 -- 1 counts traces also without a root span in the store
-- column value -- the evaluator
-- column n -- traces in which it failed something
-- method: distinct traces of the list, by a 64-bit hash. Slot: conditions on the trace.
SELECT name AS value, uniqExact(cityHash64(trace_id)) AS n
FROM evaluations FINAL
WHERE span_time >= {start:DateTime64(3)} - INTERVAL 1 HOUR AND span_time < {end:DateTime64(3)} + INTERVAL 1 HOUR
    AND project = {project:String} -- if project
    AND passed = 'fail' AND experiment_id = '' AND sample_weight > 0
    AND cityHash64(trace_id) IN (
    SELECT cityHash64(trace_id) FROM spans
    WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
    AND environment = {environment:String} -- if environment
    AND service = {service:String} -- if service
    AND (parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER') OR {every:UInt8} = 1)
-- slot conditions
    )
GROUP BY name ORDER BY n DESC, name LIMIT 9
SETTINGS final = 0
