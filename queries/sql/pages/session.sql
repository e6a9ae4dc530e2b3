-- title: A conversation
-- answers: What was said in this conversation, turn by turn?
-- param session String = '' -- the conversation id
-- param project String = '' -- one project, '' for all
-- column span_id -- the model call that answered
-- column input -- messages of that call
-- column tools -- the tool calls of the turn: name, failed, milliseconds, span id
SELECT trace_id, min(s.start_time) AS start_time, max(s.duration_ns) AS duration_ns, countIf(s.status = 'ERROR') AS errors, any(s.user_id) AS user, any(s.service) AS service,
    argMax(s.error_type, s.status = 'ERROR') AS error_type, argMax(s.status_message, s.status = 'ERROR') AS status_message, argMax(s.span_id, (is_call, s.start_time)) AS span_id,
    argMax(s.input, (is_call, s.start_time)) AS input, argMax(s.output, (is_call AND s.output != '', s.start_time)) AS output,
    argMax(s.request_model, (is_call, s.start_time)) AS model, argMax(trimLeft(concat(s.prompt_name, ' ', s.prompt_version)), (is_call, s.start_time)) AS prompt,
    sumIf(ifNull(s.cost_usd, 0), s.role = 'call') AS cost_usd,
    arraySort(t -> t.5, groupArrayIf(60)((toString(s.tool_name), s.status = 'ERROR', s.duration_ns / 1e6, s.span_id, s.start_time), s.role = 'tool')) AS tools
FROM (SELECT *, role = 'call' AND operation != 'embeddings' AS is_call FROM spans
      WHERE conversation_id = {session:String} AND ({project:String} = '' OR project = {project:String})) AS s
GROUP BY trace_id
ORDER BY start_time
LIMIT 1000
SETTINGS final = 0
