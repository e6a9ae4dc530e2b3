-- title: Labels of people
-- answers: Who judged what how?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param name String = '' -- what was judged
-- column author -- who
-- column label -- how
-- column unit -- what was judged: span, trace or conversation
SELECT trace_id, span_id, conversation_id, toString(unit) AS unit, author, if(label = '', toString(passed), label) AS label, toString(passed) AS passed, created_at
FROM evaluations
WHERE source = 'human' AND name = {name:String} AND experiment_id = '' AND ({project:String} = '' OR project = {project:String})
    AND span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
ORDER BY created_at DESC
LIMIT 5000
