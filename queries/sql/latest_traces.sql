-- title: The latest traces
-- answers: What came in last: one row a trace with its root, length, tokens, cost and failed evaluations.
-- param project String = default -- project
-- param service String = '' -- only traces with a span of this service, empty for all
-- param environment String = '' -- only traces with a span of this environment, empty for all
-- param since_s UInt32 = 86400 -- how far back to look, in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param limit UInt32 = 50 -- at most so many
-- column trace_id -- the trace
-- column start_time -- when it began
-- column service -- the root's service
-- column name -- the root's name
-- column duration_ms -- from the first start to the last end
-- column spans -- stored spans
-- column errors -- spans that failed
-- column models -- models called
-- column input_tokens -- sum
-- column output_tokens -- sum
-- column cost_usd -- sum of the known costs
-- column failed -- evaluations that failed
-- column input -- beginning of the root's input, else of the first model call's
-- column output -- beginning of the root's output, else of the last model call's
-- method: rows as stored, not weighted: a list, not an estimate.
-- source: own.
WITH
    if({until:String} = '', now64(9, 'UTC'), parseDateTime64BestEffort({until:String}, 9, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    latest AS
    (
        SELECT trace_id FROM spans
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND start_time >= since_time AND start_time < until_time
        GROUP BY trace_id ORDER BY max(start_time) DESC LIMIT {limit:UInt32}
    ),
    judged AS
    (
        SELECT trace_id, groupUniqArray(toString(evaluations.name)) AS names FROM evaluations
        WHERE project = {project:String} AND passed = 'fail' AND experiment_id = '' AND trace_id IN (SELECT trace_id FROM latest)
            AND span_time >= since_time - toIntervalDay(1)
        GROUP BY trace_id
    ),
    traces AS
    (
        SELECT trace_id, min(spans.start_time) AS begun, max(addNanoseconds(spans.start_time, duration_ns)) AS ended,
            argMin(spans.service, (parent_span_id != '', spans.start_time)) AS root_service, argMin(spans.name, (parent_span_id != '', spans.start_time)) AS root_name,
            count() AS stored, countIf(status = 'ERROR') AS failed_spans, groupUniqArrayIf(toString(if(request_model != '', request_model, response_model)) AS asked_model, role = 'call' AND asked_model != '') AS used,
            sumIf(ifNull(spans.input_tokens, 0), role = 'call') AS tokens_in, sumIf(ifNull(spans.output_tokens, 0), role = 'call') AS tokens_out, sumIf(spans.cost_usd, role = 'call') AS cost,
            argMinIf(input_preview, (parent_span_id != '', NOT (role = 'call' AND operation != 'embeddings'), spans.start_time), input_preview NOT IN ('', '[]', '{}', 'null')) AS asked,
            argMinIf(output_preview, (parent_span_id != '', NOT (role = 'call' AND operation != 'embeddings'), -toUnixTimestamp64Nano(spans.start_time)), output_preview NOT IN ('', '[]', '{}', 'null')) AS answered
        FROM spans
        WHERE project = {project:String} AND trace_id IN (SELECT trace_id FROM latest) AND start_time >= since_time - toIntervalDay(1) AND start_time < until_time
        GROUP BY trace_id
    )
SELECT traces.trace_id AS trace_id, begun AS start_time, root_service AS service, root_name AS name,
    (toUnixTimestamp64Nano(ended) - toUnixTimestamp64Nano(begun)) / 1e6 AS duration_ms, stored AS spans, failed_spans AS errors, used AS models,
    tokens_in AS input_tokens, tokens_out AS output_tokens, cost AS cost_usd, judged.names AS failed, asked AS input, answered AS output
FROM traces LEFT JOIN judged ON traces.trace_id = judged.trace_id
ORDER BY start_time DESC
