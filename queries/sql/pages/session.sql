-- title: A session
-- answers: What was said in this conversation, turn by turn?
-- param session String = '' -- the conversation id
-- param project String = '' -- one project, '' for all
-- column input -- messages of the last model call of the turn
SELECT trace_id, min(start_time) AS start_time, max(duration_ns) AS duration_ns, countIf(status = 'ERROR') AS errors, any(user_id) AS user,
    argMax(input, (is_call, start_time)) AS input, argMax(output, (is_call AND output != '', start_time)) AS output,
    argMax(request_model, (is_call, start_time)) AS model, argMax(prompt_version, (is_call, start_time)) AS prompt_version
FROM (SELECT *, operation IN ('chat', 'text_completion', 'generate_content') AS is_call FROM spans
      WHERE conversation_id = {session:String} AND ({project:String} = '' OR project = {project:String}))
GROUP BY trace_id
ORDER BY start_time
LIMIT 200
SETTINGS final = 0
