-- title: Latest traces
-- answers: What came in, newest first?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param every UInt8 = 0 -- 1 for every trace also without a root span in the store
-- param filtered UInt8 = 0 -- 1 when any of the filters below is set
-- param name String = '' -- a span name
-- param model String = '' -- a requested model
-- param operation String = '' -- chat, execute_tool, retrieval, ...
-- param version String = '' -- a prompt version
-- param hash String = '' -- a fingerprint of the system instructions
-- param status String = '' -- OK, ERROR or UNSET
-- param error String = '' -- an error type
-- param session String = '' -- a conversation id
-- param user String = '' -- a user id
-- param q String = '' -- text in the input, the output or the name
-- param slower_ms Float64 = 0 -- at least this long, milliseconds
-- param attribute String = '' -- key=value of an attribute
-- param failed String = '' -- an evaluator that the trace failed
-- param after DateTime64(3) = 1970-01-01 00:00:00 -- only what was ingested after this moment
-- param rows UInt32 = 50 -- how many
-- column trace_id -- the trace
-- column span_id -- the span by which it entered
-- column input -- what the user asked, shortened
-- column output -- what came back, shortened
-- method: the newest ids first from narrow columns, then the texts of those alone
WITH
    -- the keys of the message JSON are no text: "tent" is not in every "content"
    body -> body ILIKE concat('%', {q:String}, '%') AND replaceRegexpAll(body, '"(role|parts|type|content|name|id|finish_reason)":', '') ILIKE concat('%', {q:String}, '%') AS said,
    JSONExtract(input, 'Array(Tuple(role String, content String, parts Array(Tuple(type String, content String))))') AS asked,
    JSONExtract(output, 'Array(Tuple(role String, content String, parts Array(Tuple(type String, content String))))') AS answered,
    m -> arrayStringConcat(arrayFilter(t -> t != '', arrayConcat([m.2], arrayMap(p -> p.2, m.3))), ' ') AS words,
    words(if(arrayExists(m -> m.1 = 'user', asked), arrayLast(m -> m.1 = 'user', asked), arrayLast(m -> 1, asked))) AS question,
    words(arrayLast(m -> 1, answered)) AS answer
SELECT
    project, trace_id, span_id, start_time, duration_ns, name, kind, operation, service, environment, status, error_type,
    status_message, request_model, prompt_version, conversation_id, user_id, sample_weight, sample_rule, ingested_at,
    leftUTF8(if(question != '', question, input), 240) AS input,
    leftUTF8(if(answer != '', answer, output), 240) AS output
FROM spans
WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)} AND (trace_id, span_id) IN (
    SELECT trace_id, span_id FROM spans
    WHERE ingested_at > {after:DateTime64(3)} AND
        start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
    AND ({project:String} = '' OR project = {project:String})
    AND ({environment:String} = '' OR environment = {environment:String})
    AND ({service:String} = '' OR service = {service:String})
    AND (parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER') OR {every:UInt8} = 1)
    AND ({filtered:UInt8} = 0 OR trace_id IN (
        SELECT trace_id FROM spans
        WHERE start_time >= {start:DateTime64(3)} - INTERVAL 1 HOUR AND start_time < {end:DateTime64(3)} + INTERVAL 1 HOUR
            AND ({project:String} = '' OR project = {project:String})
            AND ({name:String} = '' OR name = {name:String})
        AND ({model:String} = '' OR request_model = {model:String})
        AND ({operation:String} = '' OR operation = {operation:String})
        AND ({version:String} = '' OR prompt_version = {version:String})
        AND ({hash:String} = '' OR system_hash = {hash:String})
        AND ({status:String} = '' OR toString(status) = {status:String})
        AND ({error:String} = '' OR error_type = {error:String})
        AND ({session:String} = '' OR conversation_id = {session:String})
        AND ({user:String} = '' OR user_id = {user:String})
        AND ({q:String} = '' OR said(input) OR said(output) OR name ILIKE concat('%', {q:String}, '%') OR trace_id = lower({q:String}))
        AND duration_ns >= {slower_ms:Float64} * 1e6
        AND ({attribute:String} = '' OR attributes[splitByChar('=', {attribute:String})[1]] = substring({attribute:String}, position({attribute:String}, '=') + 1))))
    AND ({failed:String} = '' OR trace_id IN (
        SELECT trace_id FROM evaluations
        WHERE name = {failed:String} AND passed = 'fail' AND span_time >= {start:DateTime64(3)} - INTERVAL 1 HOUR
            AND ({project:String} = '' OR project = {project:String})))
    ORDER BY start_time DESC, span_id LIMIT 1 BY trace_id LIMIT {rows:UInt32}
)
ORDER BY start_time DESC, span_id
LIMIT 1 BY trace_id
SETTINGS final = 0
