-- title: The text of a prompt
-- answers: What did these calls tell the model?
-- param traces Array(String) = [] -- trace ids
-- param spans Array(String) = [] -- span ids
-- param project String = '' -- one project, '' for all
-- column text -- the system instructions (JSON or text), '' when they were not captured
SELECT trace_id, span_id, prompt_version, system_hash, attributes['gen_ai.system_instructions'] AS text, leftUTF8(input, 20000) AS input
FROM spans
WHERE trace_id IN {traces:Array(String)} AND span_id IN {spans:Array(String)}
    AND project = {project:String} -- if project
LIMIT 1 BY trace_id, span_id
SETTINGS final = 0
