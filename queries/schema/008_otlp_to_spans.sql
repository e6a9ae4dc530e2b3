-- The landing table and its decoder again, for less processor time. Two views with a table that stores nothing
-- between them: ClickHouse plans a view anew for every insert, and the plan of one large view took longer than the rows.
-- ${LEAF} = string_value String, bool_value Bool, int_value Int64, double_value Float64, bytes_value String
-- ${ONE_OF} = value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7)
-- ${DEEPER} = Tuple(${ONE_OF}, ${LEAF}, array_value String, kvlist_value String)
-- ${LIST} = Tuple(values Array(${DEEPER}))
-- ${TABLE} = Tuple(values Array(Tuple(key String, value ${DEEPER})))
-- ${ATTRIBUTES} = Array(Tuple(key LowCardinality(String), value Tuple(${ONE_OF}, ${LEAF}, array_value ${LIST}, kvlist_value ${TABLE})))
-- ${MAP} = Map(LowCardinality(String), String)
DROP VIEW IF EXISTS otlp_to_spans;
DROP TABLE IF EXISTS otlp_in;
CREATE TABLE IF NOT EXISTS otlp_in
(
    resource_spans Array(Tuple(
        resource Tuple(attributes ${ATTRIBUTES}),
        scope_spans Array(Tuple(
            scope Tuple(name String, version String),
            spans Array(Tuple(
                trace_id String, span_id String, trace_state String, parent_span_id String, name String, kind Int32,
                start_time_unix_nano UInt64, end_time_unix_nano UInt64,
                attributes ${ATTRIBUTES},
                events Array(Tuple(time_unix_nano UInt64, name String, attributes ${ATTRIBUTES})),
                links Array(Tuple(trace_id String, span_id String)),
                status Tuple(message String, code Int32))))))),
    project String,
    received_ms UInt64
)
ENGINE = Null;
-- A span with its attributes as arrays side by side: `texts` has every value as text, the numbers stand in their own too.
CREATE TABLE IF NOT EXISTS otlp_spans
(
    project        String,
    received_ms    UInt64,
    resource       ${MAP},
    scope_name     String,
    scope_version  String,
    trace_id       String,
    span_id        String,
    parent_span_id String,
    trace_state    String,
    name           String,
    kind           Int32,
    started        UInt64,
    ended          UInt64,
    status_code    Int32,
    status_message String,
    keys           Array(LowCardinality(String)),
    texts          Array(String),
    ints           Array(Int64),
    floats         Array(Float64),
    events         Array(Tuple(time DateTime64(9, 'UTC'), name LowCardinality(String), attributes ${MAP})),
    links          Array(Tuple(trace_id String, span_id String))
)
ENGINE = Null;
-- A list or table inside a list or table stops the insert: the inserter writes such values as JSON text and tries again.
CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_to_otlp_spans TO otlp_spans AS
WITH
    v -> multiIf(
        v.value = 'string_value', toJSONString(v.string_value), v.value = 'int_value', toString(v.int_value),
        v.value = 'double_value', toJSONString(v.double_value), v.value = 'bool_value', if(v.bool_value, 'true', 'false'),
        v.value = 'bytes_value', toJSONString(base64Encode(v.bytes_value)),
        throwIf(v.value != 'none', 'values nested deeper than one level') = 0, 'null', '') AS leaf_json,
    v -> concat('[', arrayStringConcat(arrayMap(x -> leaf_json(x), v.values), ','), ']') AS list_json,
    v -> concat('{', arrayStringConcat(arrayMap(x -> concat(toJSONString(x.key), ':', leaf_json(x.value)), v.values), ','), '}') AS table_json,
    vs -> arrayMap(
        (kind, string, int, double, bool, list, table, bytes) -> multiIf(
            kind = 'string_value', string, kind = 'int_value', toString(int), kind = 'double_value', toString(double),
            kind = 'bool_value', if(bool, 'true', 'false'), kind = 'array_value', list_json(list),
            kind = 'kvlist_value', table_json(table), kind = 'bytes_value', base64Encode(bytes), ''),
        vs.value, vs.string_value, vs.int_value, vs.double_value, vs.bool_value, vs.array_value, vs.kvlist_value, vs.bytes_value) AS texts_of
SELECT
    project, received_ms, resource,
    scoped.scope.name AS scope_name, scoped.scope.version AS scope_version,
    span.trace_id AS trace_id, span.span_id AS span_id, span.parent_span_id AS parent_span_id, span.trace_state AS trace_state,
    span.name AS name, span.kind AS kind, span.start_time_unix_nano AS started, span.end_time_unix_nano AS ended,
    span.status.code AS status_code, span.status.message AS status_message,
    span.attributes.key AS keys, texts_of(span.attributes.value) AS texts,
    span.attributes.value.int_value AS ints, span.attributes.value.double_value AS floats,
    arrayMap(e -> (fromUnixTimestamp64Nano(toInt64(e.time_unix_nano), 'UTC'), e.name, mapFromArrays(e.attributes.key, texts_of(e.attributes.value))), span.events) AS events,
    arrayMap(l -> (lower(hex(l.1)), lower(hex(l.2))), span.links) AS links
FROM
(
    SELECT project, received_ms, resource, scoped, arrayJoin(scoped.spans) AS span
    FROM
    (
        SELECT project, received_ms, arrayJoin(one.scope_spans) AS scoped,
            mapFromArrays(one.resource.attributes.key, texts_of(one.resource.attributes.value)) AS resource
        FROM (SELECT project, received_ms, arrayJoin(resource_spans) AS one FROM otlp_in)
    )
);
-- Attributes by name become columns. What is promoted stays in `attributes` too, so that a row is the whole span; only
-- the bodies that fill `input` and `output` are not kept twice.
-- system_hash: sipHash64 of the text of gen_ai.system_instructions, else of the system messages that lead the input.
-- sample_weight: what the sampler wrote, else 2^56 / (2^56 - threshold) from tracestate `ot=th:`, else 1.
CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_to_spans TO spans AS
WITH
    (
        SELECT (groupArray(concat(provider, ' ', model)), groupArray(input_usd), groupArray(coalesce(cached_usd, input_usd)), groupArray(coalesce(output_usd, 0.)))
        FROM model_prices FINAL
        WHERE input_usd IS NOT NULL
    ) AS prices,
    k -> texts[indexOf(keys, k)] AS attribute,
    k -> floats[indexOf(keys, k)] + ints[indexOf(keys, k)] AS number,
    k -> if(isFinite(number(k)), toUInt32(least(greatest(number(k), 0), 4294967295)), 0) AS tokens,
    (a, b) -> if(a != '', a, b) AS either,
    -- By place: a lambda that looked at the bodies themselves would copy them once for every attribute.
    n -> n != place_in AND n != place_out AS keep,
    indexOf(prices.1, concat(provider, ' ', either(response_model, request_model))) AS priced,
    ps -> arrayStringConcat(arrayFilter(t -> t != '', ps.content), '\n') AS parts_text,
    m -> if(m.content != '', m.content, parts_text(m.parts)) AS message_text,
    r -> r IN ('system', 'developer') AS leads,
    attribute('gen_ai.system_instructions') AS sent_instructions,
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
    attribute('error.type') AS error_type,
    resource['service.name'] AS service,
    either(either(resource['deployment.environment.name'], resource['deployment.environment']), attribute('deployment.environment.name')) AS environment,
    scope_name,
    scope_version,
    attribute('gen_ai.operation.name') AS operation,
    either(attribute('gen_ai.provider.name'), attribute('gen_ai.system')) AS provider,
    attribute('gen_ai.request.model') AS request_model,
    attribute('gen_ai.response.model') AS response_model,
    attribute('gen_ai.agent.name') AS agent_name,
    attribute('gen_ai.tool.name') AS tool_name,
    attribute('gen_ai.prompt.name') AS prompt_name,
    attribute('gen_ai.prompt.version') AS prompt_version,
    if(instructions = '', '', leftPad(lower(hex(sipHash64(instructions))), 16, '0')) AS system_hash,
    either(attribute('gen_ai.conversation.id'), attribute('session.id')) AS conversation_id,
    either(attribute('user.id'), attribute('enduser.id')) AS user_id,
    tokens('gen_ai.usage.input_tokens') AS input_tokens,
    tokens('gen_ai.usage.output_tokens') AS output_tokens,
    tokens('gen_ai.usage.cache_read.input_tokens') AS cached_tokens,
    tokens('gen_ai.usage.reasoning.output_tokens') AS reasoning_tokens,
    multiIf(
        has(keys, 'evalspan.cost_usd') AND isFinite(number('evalspan.cost_usd')), number('evalspan.cost_usd'),
        input_tokens + output_tokens = 0 OR operation IN ('invoke_agent', 'invoke_workflow', 'execute_tool') OR priced = 0, NULL,
        greatest(toInt64(input_tokens) - cached_tokens, 0) * (prices.2)[priced] + cached_tokens * (prices.3)[priced] + output_tokens * (prices.4)[priced]) AS cost_usd,
    if(has(keys, 'gen_ai.response.time_to_first_chunk'), toFloat32(number('gen_ai.response.time_to_first_chunk')), NULL) AS ttft_s,
    texts[if(place_in = 0, place_of_query, place_in)] AS input,
    texts[place_out] AS output,
    mapFromArrays(arrayFilter((k, n) -> keep(n), keys, arrayEnumerate(keys)), arrayFilter((t, n) -> keep(n), texts, arrayEnumerate(keys))) AS attributes,
    resource,
    events,
    links,
    multiIf(
        isFinite(number('evalspan.sample_weight')) AND number('evalspan.sample_weight') > 0, number('evalspan.sample_weight'),
        threshold != '', 72057594037927936. / greatest(72057594037927936. - reinterpretAsUInt64(reverse(unhex(rightPad(threshold, 14, '0')))), 1.),
        1.) AS sample_weight,
    attribute('evalspan.sample_rule') AS sample_rule,
    if(received_ms = 0, now64(3), fromUnixTimestamp64Milli(toInt64(received_ms), 'UTC')) AS ingested_at
FROM
(
    WITH
        arrayMap(t -> notEmpty(t), texts) AS filled,
        k -> filled[indexOf(keys, k)] AS sent
    SELECT
        project AS sent_project, trace_id AS sent_trace_id, span_id AS sent_span_id, parent_span_id AS sent_parent_span_id, kind AS sent_kind,
        received_ms, resource, scope_name, scope_version, trace_state, name, started, ended, status_code, status_message,
        keys, texts, ints, floats, events, links,
        if(sent('gen_ai.retrieval.query.text'), indexOf(keys, 'gen_ai.retrieval.query.text'), 0) AS place_of_query,
        multiIf(
            sent('gen_ai.input.messages'), indexOf(keys, 'gen_ai.input.messages'),
            sent('gen_ai.tool.call.arguments'), indexOf(keys, 'gen_ai.tool.call.arguments'),
            place_of_query > 0, 0,
            indexOf(keys, 'evalspan.input')) AS place_in,
        multiIf(
            sent('gen_ai.output.messages'), indexOf(keys, 'gen_ai.output.messages'),
            sent('gen_ai.tool.call.result'), indexOf(keys, 'gen_ai.tool.call.result'),
            sent('gen_ai.retrieval.documents'), indexOf(keys, 'gen_ai.retrieval.documents'),
            indexOf(keys, 'evalspan.output')) AS place_out
    FROM otlp_spans
);
