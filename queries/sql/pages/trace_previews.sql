-- title: Texts of listed traces
-- answers: What was asked and answered, in short?
-- param ids Array(String) = [] -- trace ids
-- param spans Array(String) = [] -- the spans by which they entered
-- param keys Array(String) = [] -- attributes that are shown, too
-- param from_calls UInt8 = 1 -- 1 takes the texts of the trace's calls where an entry has none
-- param from_entries UInt8 = 0 -- 1 takes those of the entries only, which is quicker
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- column extra -- the values of those attributes
-- column input -- what the user asked, shortened; of the trace's first model call when the span has none
-- column output -- what came back, shortened; of the trace's last model call when the span has none
WITH
    JSONExtract(input, 'Array(Tuple(role String, content String, parts Array(Tuple(type String, content String))))') AS asked,
    JSONExtract(output, 'Array(Tuple(role String, content String, parts Array(Tuple(type String, content String))))') AS answered,
    m -> arrayStringConcat(arrayFilter(t -> t != '', arrayConcat([m.2], arrayMap(p -> if(p.1 IN ('text', 'reasoning', ''), p.2, ''), m.3))), ' ') AS words,
    words(if(arrayExists(m -> m.1 = 'user', asked), arrayLast(m -> m.1 = 'user', asked), arrayLast(m -> 1, asked))) AS question,
    words(arrayLast(m -> 1, answered)) AS answer
SELECT entry.trace_id AS trace_id, entry.span_id AS span_id, entry.extra AS extra,
    if(entry.asks != '', entry.asks, calls.asks) AS input, if(entry.says != '', entry.says, calls.says) AS output -- if from_calls
    entry.asks AS input, entry.says AS output -- if from_entries
FROM
(
    SELECT trace_id, span_id, leftUTF8(if(question != '', question, input), 240) AS asks, leftUTF8(if(answer != '', answer, output), 240) AS says,
        arrayMap(k -> if(mapContains(attributes, k), attributes[k], resource[k]), {keys:Array(String)}) AS extra
    FROM spans
    WHERE trace_id IN {ids:Array(String)} AND span_id IN {spans:Array(String)}
        AND start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
    LIMIT 1 BY trace_id, span_id
) AS entry
LEFT JOIN -- if from_calls
( -- if from_calls
    SELECT trace_id, -- if from_calls
        argMinIf(leftUTF8(if(question != '', question, input), 240), start_time, input != '') AS asks, -- if from_calls
        argMaxIf(leftUTF8(if(answer != '', answer, output), 240), start_time, output != '') AS says -- if from_calls
    FROM spans -- if from_calls
    WHERE trace_id IN {ids:Array(String)} AND role = 'call' AND operation != 'embeddings' -- if from_calls
        AND start_time >= {start:DateTime64(3)} - INTERVAL 1 HOUR AND start_time < {end:DateTime64(3)} + INTERVAL 1 HOUR -- if from_calls
        AND ({project:String} = '' OR project = {project:String}) -- if from_calls
    GROUP BY trace_id -- if from_calls
) AS calls ON calls.trace_id = entry.trace_id -- if from_calls
SETTINGS final = 0
