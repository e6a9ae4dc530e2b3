-- title: The evaluations of a trace
-- answers: How were this trace and its spans judged?
-- param trace String -- the trace id
-- column rows -- every column of its evaluations
-- method: rows as stored, not weighted: a list, not an estimate.
-- source: own.
SELECT *
FROM evaluations
WHERE trace_id = {trace:String}
ORDER BY span_id, name, created_at
LIMIT 5000
