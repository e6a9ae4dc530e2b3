-- title: A span
-- answers: What went in, what came out, and every attribute?
-- param trace String = '' -- the trace id
-- param span String = '' -- the span id
-- param project String = '' -- one project, '' for all
-- param at DateTime64(3) = '' -- when it began, where that is known: one hour is read in the place of an index of every day
-- column events -- time, name and attributes of each event
SELECT * EXCEPT (input_preview, output_preview)
FROM spans
WHERE trace_id = {trace:String} AND span_id = {span:String} AND ({project:String} = '' OR project = {project:String})
    AND toStartOfHour(start_time) = toStartOfHour({at:DateTime64(3)}) -- if at
LIMIT 1
SETTINGS final = 0
