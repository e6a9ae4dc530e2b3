-- title: The spans of a trace
-- answers: What happened in this trace, in which order?
-- param trace String = '' -- the trace id
-- param project String = '' -- one project, '' for all
-- column answer -- a hash of the words that came out, 0 for none: the call whose words are the root's is the answer
WITH
    JSONExtract(output, 'Array(Tuple(role String, content String, parts Array(Tuple(type String, content String))))') AS answered,
    arrayStringConcat(arrayMap(m -> concat(m.2, arrayStringConcat(arrayMap(p -> if(p.1 = 'text', p.2, ''), m.3))), answered)) AS words
SELECT
    project, span_id, parent_span_id, start_time, duration_ns, name, toString(kind) AS kind, operation, role, toString(status) AS status,
    status_message, error_type, service, environment, request_model, response_model, provider, agent_name, tool_name,
    prompt_name, prompt_version, system_hash, conversation_id, user_id, input_tokens, output_tokens, cached_tokens,
    cost_usd, reported_cost_usd, unpriced_reason, ttft_s, sample_weight, sample_rule, length(input) AS input_bytes, length(output) AS output_bytes,
    if(output = '', 0, cityHash64(if(words != '', words, output))) AS answer
FROM spans
WHERE trace_id = {trace:String} AND ({project:String} = '' OR project = {project:String})
ORDER BY start_time, span_id
LIMIT 1 BY span_id
LIMIT 20000
SETTINGS final = 0
