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
-- param by_cost UInt8 = 0 -- 1 sorts by cost of the whole trace, dearest first
-- param by_errors UInt8 = 0 -- 1 sorts by failed spans of the whole trace, most first
-- param by_score UInt8 = 0 -- 1 sorts by the lowest score of the trace, worst first
-- param by_time UInt8 = 1 -- 1 sorts by time, newest first
-- param oldest UInt8 = 0 -- 1 sorts by time, oldest first
-- param rows UInt32 = 50 -- how many
-- param skip UInt32 = 0 -- how many are left out first
-- column trace_id -- the trace
-- column span_id -- the span by which it entered
-- column start_time -- when that span began
-- method: narrow columns only; the texts of the rows are read by pages/trace_previews. Slot: conditions on the trace.
SELECT project, trace_id, span_id, start_time, duration_ns, name, kind, operation, service, environment, status, error_type, status_message,
    request_model, prompt_name, prompt_version, conversation_id, user_id, sample_weight, sample_rule, ingested_at
FROM spans
LEFT JOIN (SELECT trace_id, sum(cost_usd) AS total_cost FROM spans WHERE start_time >= {start:DateTime64(3)} - INTERVAL 1 HOUR AND start_time < {end:DateTime64(3)} + INTERVAL 1 HOUR AND ({project:String} = '' OR project = {project:String}) AND role = 'call' GROUP BY trace_id) AS costs ON costs.trace_id = spans.trace_id -- if by_cost
LEFT JOIN (SELECT trace_id, countIf(status = 'ERROR') AS failed_spans FROM spans WHERE start_time >= {start:DateTime64(3)} - INTERVAL 1 HOUR AND start_time < {end:DateTime64(3)} + INTERVAL 1 HOUR AND ({project:String} = '' OR project = {project:String}) GROUP BY trace_id) AS failures ON failures.trace_id = spans.trace_id -- if by_errors
INNER JOIN (SELECT trace_id, min(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS lowest FROM evaluations FINAL WHERE span_time >= {start:DateTime64(3)} - INTERVAL 1 HOUR AND span_time < {end:DateTime64(3)} + INTERVAL 1 HOUR AND experiment_id = '' AND sample_weight > 0 AND ({project:String} = '' OR project = {project:String}) GROUP BY trace_id HAVING lowest IS NOT NULL) AS judged ON judged.trace_id = spans.trace_id -- if by_score
WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
    AND environment = {environment:String} -- if environment
    AND service = {service:String} -- if service
    AND ingested_at > {after:DateTime64(3)} -- if after
    AND (parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER') OR {every:UInt8} = 1)
-- slot conditions
ORDER BY
    total_cost DESC, -- if by_cost
    failed_spans DESC, -- if by_errors
    lowest ASC, -- if by_score
    duration_ns DESC, -- if by_duration
    start_time ASC, -- if oldest
    start_time DESC, span_id
LIMIT 1 BY trace_id
LIMIT {skip:UInt32}, {rows:UInt32}
SETTINGS final = 0
