-- title: One trace
-- answers: What happened in this trace, with what was said?
-- param trace String -- the trace id
-- column rows -- every column of its spans, once each, in order of time
-- method: rows as stored, not weighted: a list, not an estimate.
-- source: own.
SELECT * EXCEPT (input_preview, output_preview)
FROM spans
WHERE trace_id = {trace:String}
ORDER BY start_time, span_id
LIMIT 1 BY span_id
LIMIT 20000
