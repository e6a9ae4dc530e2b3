-- title: Documents of a trace
-- answers: What had been retrieved before this call answered?
-- param trace String = '' -- the trace id
-- param project String = '' -- one project, '' for all
-- column output -- the retrieved documents (JSON)
SELECT span_id, name, output
FROM spans
WHERE trace_id = {trace:String} AND operation = 'retrieval' AND output != ''
    AND project = {project:String} -- if project
ORDER BY start_time
LIMIT 10
SETTINGS final = 0
