-- title: A span
-- answers: What went in, what came out, and every attribute?
-- param trace String = '' -- the trace id
-- param span String = '' -- the span id
-- param project String = '' -- one project, '' for all
-- column events -- time, name and attributes of each event
SELECT * EXCEPT (input_preview, output_preview)
FROM spans
WHERE trace_id = {trace:String} AND span_id = {span:String} AND ({project:String} = '' OR project = {project:String})
LIMIT 1
SETTINGS final = 0
