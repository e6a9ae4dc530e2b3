-- The language of the judged input (`en`, `de`, ..., a script such as `Han`, or `unknown`; queries/languages.py), so that a
-- change of its mix is told from a change of quality; empty where it is not known.
ALTER TABLE evaluations ADD COLUMN IF NOT EXISTS input_language LowCardinality(String) DEFAULT '';
DROP VIEW IF EXISTS usage;
CREATE VIEW IF NOT EXISTS usage AS
SELECT project, measure.1 AS name, '' AS evaluator_version, 'code' AS source, '' AS author, trace_id, span_id,
    measure.2 AS score, '' AS label, measure.3 AS passed, measure.4 AS explanation, '' AS error, start_time AS span_time,
    service, environment, toLowCardinality(if(spans.request_model != '', spans.request_model, response_model)) AS request_model,
    prompt_name, prompt_version, system_hash, '' AS segment, sample_weight,
    '' AS experiment_id, ingested_at AS created_at, conversation_id, 'span' AS unit, toUInt8(0) AS input_size, '' AS input_language
FROM spans
ARRAY JOIN [
    ('error_rate', toNullable(toFloat64(status = 'ERROR')), if(status = 'ERROR', 'fail', 'pass'), concat(error_type, ' ', status_message)),
    ('latency', if(status = 'ERROR' OR duration_ns = 0, NULL, log(duration_ns / 1e6)), 'unknown', concat(toString(round(duration_ns / 1e6)), ' ms')),
    ('ttft', if(ttft_s > 0, log(ttft_s * 1e3), NULL), 'unknown', concat(toString(round(ifNull(ttft_s, 0) * 1e3)), ' ms')),
    ('cost', if(status = 'ERROR', NULL, toFloat64(cost_usd)), 'unknown', concat('$', toString(ifNull(cost_usd, 0)))),
    ('input_tokens', if(status = 'ERROR', NULL, toFloat64(input_tokens)), 'unknown', concat(toString(ifNull(input_tokens, 0)), ' tokens')),
    ('output_tokens', if(status = 'ERROR', NULL, toFloat64(output_tokens)), 'unknown', concat(toString(ifNull(output_tokens, 0)), ' tokens'))
] AS measure
WHERE role = 'call' AND measure.2 IS NOT NULL;
-- Sentences of Chinese and Japanese end in other marks and stand without spaces: they are pieces of a prompt, too. The view
-- is that of 051 in all else.
DROP VIEW IF EXISTS otlp_to_spans;
CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_to_spans TO spans AS
WITH
    (a, b) -> if(a != '', a, b) AS either,
    -- By place: a lambda that looked at the bodies themselves would copy them once for every attribute.
    n -> n != place_in AND n != place_out AS keep,
    ps -> arrayStringConcat(arrayFilter(t -> t != '', ps.content), '\n') AS parts_text,
    m -> if(m.content != '', m.content, parts_text(m.parts)) AS message_text,
    r -> r IN ('system', 'developer') AS leads,
    names[22] AS sent_instructions,
    parts_text(JSONExtract(sent_instructions, 'Array(Tuple(content String))')) AS instructions_text,
    JSONExtract(input, 'Tuple(Tuple(role String, content String, parts Array(Tuple(content String))), Tuple(role String))') AS head,
    -- All messages are taken apart only where the second is of the system, too.
    JSONExtract(input, 'Array(Tuple(role String, content String, parts Array(Tuple(content String))))') AS messages,
    arrayFirstIndex(m -> NOT leads(m.role), messages) AS first_other,
    arraySlice(messages, 1, if(first_other = 0, toInt64(length(messages)), toInt64(first_other) - 1)) AS leading,
    multiIf(
        sent_instructions != '', either(instructions_text, sent_instructions),
        NOT leads(head.1.role), '',
        NOT leads(head.2.role), message_text(head.1),
        arrayStringConcat(arrayMap(m -> message_text(m), leading), '\n')) AS instructions,
    (
        SELECT mapFromArrays(groupArray(key), groupArray(slots))
        FROM (SELECT concat(project, '\0', service) AS key, groupArray((before, after)) AS slots FROM prompt_slots FINAL GROUP BY key)
    ) AS known_slots,
    known_slots[concat(either(sent_project, 'default'), '\0', resource['service.name'])] AS own_slots,
    extractAll(if(empty(own_slots), '', instructions), '[^\n.!?:。！？；：]*[\n.!?:。！？；：]+|[^\n.!?:。！？；：]+') AS pieces,
    -- From the piece before a slot to the next one after it; where one of the two is missing nothing is left out.
    arrayFold((kept, slot) -> if(
        (slot.1 = 0 OR has(kept.2, slot.1)) AND (slot.2 = 0 OR has(arraySlice(kept.2, indexOf(kept.2, slot.1) + 1), slot.2)),
        (arrayConcat(arraySlice(kept.1, 1, indexOf(kept.2, slot.1)), ['\0'], if(slot.2 = 0, [], arraySlice(kept.1, indexOf(kept.2, slot.1) + indexOf(arraySlice(kept.2, indexOf(kept.2, slot.1) + 1), slot.2)))),
            arrayConcat(arraySlice(kept.2, 1, indexOf(kept.2, slot.1)), [toUInt64(1)], if(slot.2 = 0, [], arraySlice(kept.2, indexOf(kept.2, slot.1) + indexOf(arraySlice(kept.2, indexOf(kept.2, slot.1) + 1), slot.2))))),
        kept), own_slots, (pieces, arrayMap(p -> sipHash64(p), pieces))).1 AS fixed_pieces,
    if(trace_state = '', '', extract(trace_state, 'ot=[^,]*\\bth:([0-9a-f]{1,14})')) AS threshold
SELECT
    either(sent_project, 'default') AS project,
    lower(hex(sent_trace_id)) AS trace_id,
    lower(hex(sent_span_id)) AS span_id,
    if(sent_parent_span_id = unhex('0000000000000000'), '', lower(hex(sent_parent_span_id))) AS parent_span_id,
    trace_state,
    fromUnixTimestamp64Nano(toInt64(started), 'UTC') AS start_time,
    toUInt64(if(ended > started, ended - started, 0)) AS duration_ns,
    name,
    toInt8(if(sent_kind BETWEEN 0 AND 5, sent_kind, 0)) AS kind,
    toInt8(if(status_code BETWEEN 0 AND 2, status_code, 0)) AS status,
    status_message,
    names[11] AS error_type,
    resource['service.name'] AS service,
    either(either(resource['deployment.environment.name'], resource['deployment.environment']), names[12]) AS environment,
    scope_name,
    scope_version,
    -- A call inside a call keeps its place and is no call: `evalspan.role` says so.
    if(names[2] = 'other' AND calls, '', names[1]) AS operation,
    role,
    provider,
    names[5] AS request_model,
    names[6] AS response_model,
    names[13] AS agent_name,
    names[14] AS tool_name,
    names[15] AS prompt_name,
    names[16] AS prompt_version,
    if(instructions = '', '', leftPad(lower(hex(sipHash64(if(empty(own_slots), instructions, arrayStringConcat(fixed_pieces))))), 16, '0')) AS system_hash,
    either(names[17], names[18]) AS conversation_id,
    either(names[19], names[20]) AS user_id,
    if(is_call, all_input, NULL) AS input_tokens,
    if(is_call, sent_output, NULL) AS output_tokens,
    if(is_call AND has_usage, toUInt32(counts[3]), NULL) AS cached_tokens,
    if(is_call AND has_usage, toUInt32(counts[4]), NULL) AS reasoning_tokens,
    if(is_call, coalesce(numbers[16], if(is_own, computed, NULL), reported, computed), NULL) AS cost_usd,
    if(is_call, reported, NULL) AS reported_cost_usd,
    if(is_call, computed, NULL) AS computed_cost_usd,
    multiIf(
        NOT is_call OR cost_usd IS NOT NULL, '',
        NOT has_usage, if(status_code = 2, 'the call failed', 'no token counts were sent'),
        names[5] = '' AND names[6] = '', 'no model was sent',
        empty(rate), reason_of_none,
        'no price for a kind of token or search of the call') AS unpriced_reason,
    toFloat32(numbers[19]) AS ttft_s,
    texts[if(place_in = 0, place_of_query, place_in)] AS input,
    texts[place_out] AS output,
    mapFromArrays(arrayFilter((k, n) -> keep(n), keys, arrayEnumerate(keys)), arrayFilter((t, n) -> keep(n), texts, arrayEnumerate(keys))) AS attributes,
    resource,
    events,
    links,
    multiIf(
        ifNull(numbers[20], 0) > 0, assumeNotNull(numbers[20]),
        threshold != '', 72057594037927936. / greatest(72057594037927936. - reinterpretAsUInt64(reverse(unhex(rightPad(threshold, 14, '0')))), 1.),
        1.) AS sample_weight,
    names[21] AS sample_rule,
    if(received_ms = 0, now64(3), fromUnixTimestamp64Milli(toInt64(received_ms), 'UTC')) AS ingested_at
FROM otlp_priced;
