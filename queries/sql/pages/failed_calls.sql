-- title: Failed calls of one prompt
-- answers: Which calls of this prompt, or of this model, did an evaluator fail?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param prompt String = '' -- a prompt's name and version, '' for all
-- param model String = '' -- a model, '' for all
-- param rows UInt32 = 20 -- how many
-- column trace_id -- the trace
-- column span_id -- the call
-- method: newest first. Slot: conditions on the trace.
SELECT trace_id, span_id, max(span_time) AS at
FROM evaluations FINAL
WHERE span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
    AND trimLeft(concat(prompt_name, ' ', prompt_version)) = {prompt:String} -- if prompt
    AND request_model = {model:String} -- if model
    AND passed = 'fail' AND experiment_id = '' AND span_id != '' AND sample_weight > 0
-- slot conditions
GROUP BY trace_id, span_id
ORDER BY at DESC
LIMIT {rows:UInt32}
SETTINGS final = 0
