-- title: Texts of listed conversations
-- answers: What was asked first and answered last, in short?
-- param ids Array(String) = [] -- conversation ids
-- param traces Array(String) = [] -- traces to read, where those are known that began and ended the conversations
-- param hours Array(DateTime('UTC')) = [] -- the hours in which they began and ended
-- param chosen UInt8 = 0 -- 1 reads only these traces in these hours
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- column asked -- the first question, shortened
-- column answered -- the last answer, shortened
WITH
    JSONExtract(first_input, 'Array(Tuple(role String, content String, parts Array(Tuple(type String, content String))))') AS inputs,
    JSONExtract(last_output, 'Array(Tuple(role String, content String, parts Array(Tuple(type String, content String))))') AS outputs,
    m -> arrayStringConcat(arrayFilter(t -> t != '', arrayConcat([m.2], arrayMap(p -> if(p.1 IN ('text', ''), p.2, ''), m.3))), ' ') AS words,
    words(if(arrayExists(m -> m.1 = 'user', inputs), arrayLast(m -> m.1 = 'user', inputs), arrayLast(m -> 1, inputs))) AS question,
    words(arrayLast(m -> 1, outputs)) AS answer
SELECT conversation_id, leftUTF8(if(question != '', question, first_input), 200) AS asked, leftUTF8(if(answer != '', answer, last_output), 200) AS answered
FROM
(
    SELECT conversation_id, argMinIf(input, start_time, input != '') AS first_input, argMaxIf(output, (start_time + toIntervalNanosecond(duration_ns), request_model = ''), output NOT IN ('', '[]', '{}')) AS last_output
    FROM spans
    WHERE conversation_id IN {ids:Array(String)} AND start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
    AND toStartOfHour(start_time) IN {hours:Array(DateTime('UTC'))} AND trace_id IN {traces:Array(String)} -- if chosen
    GROUP BY conversation_id
)
SETTINGS final = 0
