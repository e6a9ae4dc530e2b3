-- title: Trace ids that begin with some digits
-- answers: Which traces can be meant by the beginning of an id?
-- param prefix String -- hexadecimal digits
-- param rows UInt32 = 5 -- how many at most
-- column trace_id -- a whole id
-- method: rows as stored, not weighted: a list, not an estimate.
-- source: own.
SELECT DISTINCT trace_id
FROM spans
WHERE if(length({prefix:String}) = 32, trace_id = {prefix:String}, startsWith(trace_id, {prefix:String}))
LIMIT {rows:UInt32}
