-- title: A session
-- answers: What was said in this conversation, turn by turn?
-- param session String = '' -- the conversation id
-- param project String = '' -- one project, '' for all
-- column input -- messages of the last model call of the turn
SELECT trace_id, min(s.start_time) AS start_time, max(s.duration_ns) AS duration_ns, countIf(s.status = 'ERROR') AS errors, any(s.user_id) AS user,
    argMax(s.input, (is_call, s.start_time)) AS input, argMax(s.output, (is_call AND s.output != '', s.start_time)) AS output,
    argMax(s.request_model, (is_call, s.start_time)) AS model, argMax(s.prompt_version, (is_call, s.start_time)) AS prompt_version
FROM (SELECT *, role = 'call' AND operation != 'embeddings' AS is_call FROM spans
      WHERE conversation_id = {session:String} AND ({project:String} = '' OR project = {project:String})) AS s
GROUP BY trace_id
ORDER BY start_time
LIMIT 200
SETTINGS final = 0
