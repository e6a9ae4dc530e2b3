-- title: The traces to read first
-- answers: Which traces show best what moved: the worst (or the highest) scores since a point in time, optionally of
--   one prompt fingerprint, model, segment.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param of Identifier = evaluations -- evaluations, or usage for error_rate, latency, ttft (logarithms of ms), cost, input_tokens, output_tokens
-- param metric String -- evaluation name
-- param unit String = '' -- span, trace or conversation; empty for all
-- param direction String = decrease -- decrease shows the lowest scores, increase the highest
-- param since String = '' -- from when on (ISO 8601, UTC), empty for a week
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param system_hash String = '' -- prompt fingerprint, empty for all
-- param segment String = '' -- segment, empty for all
-- param traces Array(String) = [] -- only these traces, empty for all
-- param count UInt32 = 5 -- how many
-- column trace_id -- the trace, empty for a conversation
-- column conversation_id -- the conversation, if any
-- column span_id -- the span that was judged, empty for the whole trace
-- column span_time -- when
-- column score -- its score, 1 and 0 for a passed and a failed one
-- column label -- the evaluator's label
-- column explanation -- the evaluator's reason
-- column input -- beginning of what was asked
-- column output -- beginning of what was answered
-- method: extremes, one per trace; ties by time.
-- source: own.
WITH
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    if({since:String} = '', until_time - toIntervalDay(7), parseDateTime64BestEffort({since:String}, 3, 'UTC')) AS since_time,
    worst AS
    (
        SELECT trace_id, conversation_id, span_id, span_time, label, explanation,
            coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass'))) AS y
        FROM {of:Identifier}
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND name = {metric:String} AND ({unit:String} = '' OR unit = {unit:String}) AND span_time >= since_time AND span_time < until_time
            AND experiment_id = '' AND source != 'human' AND y IS NOT NULL
            AND ({system_hash:String} = '' OR system_hash = {system_hash:String})
            AND ({segment:String} = '' OR segment = {segment:String}) AND (empty({traces:Array(String)}) OR trace_id IN {traces:Array(String)})
        ORDER BY if({direction:String} = 'increase', -y, y), span_time DESC
        LIMIT 1 BY if(trace_id = '', conversation_id, trace_id)
        LIMIT {count:UInt32}
    ),
    texts AS
    (
        SELECT trace_id, arrayJoin(if(parent_span_id = '', [span_id, ''], [span_id])) AS span_id, input_preview, output_preview
        FROM spans
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND start_time >= since_time - toIntervalDay(1) AND start_time < until_time + toIntervalDay(1)
            AND trace_id IN (SELECT trace_id FROM worst) AND (span_id IN (SELECT span_id FROM worst) OR parent_span_id = '')
    )
SELECT worst.trace_id AS trace_id, worst.conversation_id AS conversation_id, worst.span_id AS span_id, span_time, y AS score, label, explanation,
    input_preview AS input, output_preview AS output
FROM worst LEFT JOIN texts ON worst.trace_id = texts.trace_id AND worst.span_id = texts.span_id
ORDER BY if({direction:String} = 'increase', -y, y), span_time DESC
