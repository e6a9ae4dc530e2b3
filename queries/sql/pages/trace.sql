-- title: The spans of a trace
-- answers: What happened in this trace, in which order?
-- param trace String = '' -- the trace id
-- param project String = '' -- one project, '' for all
-- column missing_parent -- filled in by the page: the parent is not in the store
SELECT
    project, span_id, parent_span_id, start_time, duration_ns, name, toString(kind) AS kind, operation, role, toString(status) AS status,
    status_message, error_type, service, environment, request_model, response_model, provider, agent_name, tool_name,
    prompt_name, prompt_version, system_hash, conversation_id, user_id, input_tokens, output_tokens, cached_tokens,
    cost_usd, reported_cost_usd, unpriced_reason, ttft_s, sample_weight, sample_rule, length(input) AS input_bytes, length(output) AS output_bytes
FROM spans
WHERE trace_id = {trace:String} AND ({project:String} = '' OR project = {project:String})
ORDER BY start_time, span_id
LIMIT 1 BY span_id
LIMIT 20000
SETTINGS final = 0
