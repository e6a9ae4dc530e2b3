-- Prices of the models that were seen, in dollars a token; NULL: nobody knows. The collector fills it (see prices.py).
CREATE TABLE IF NOT EXISTS model_prices
(
    provider   String,
    model      String,
    input_usd  Nullable(Float64),
    cached_usd Nullable(Float64),
    output_usd Nullable(Float64),
    priced_at  DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(priced_at)
ORDER BY (provider, model);
-- The decoder: attributes by name become columns. What is promoted stays in `attributes` too, so that a row is the
-- whole span; only the bodies that fill `input` and `output` are not kept twice.
-- system_hash: sipHash64 of the text of gen_ai.system_instructions, else of the system messages that lead the input.
-- sample_weight: what the sampler wrote, else 2^56 / (2^56 - threshold) from tracestate `ot=th:`, else 1.
CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_to_spans TO spans AS
WITH
    (
        SELECT mapFromArrays(groupArray(concat(provider, ' ', model)), groupArray((input_usd, coalesce(cached_usd, input_usd), coalesce(output_usd, 0.))))
        FROM model_prices FINAL
        WHERE input_usd IS NOT NULL
    ) AS prices,
    v -> multiIf(
        v.value = 'string_value', toJSONString(v.string_value), v.value = 'int_value', toString(v.int_value),
        v.value = 'double_value', toJSONString(v.double_value), v.value = 'bool_value', if(v.bool_value, 'true', 'false'),
        'null') AS leaf_json,
    v -> multiIf(
        v.value = 'string_value', v.string_value, v.value = 'int_value', toString(v.int_value),
        v.value = 'double_value', toString(v.double_value), v.value = 'bool_value', if(v.bool_value, 'true', 'false'),
        v.value = 'array_value', concat('[', arrayStringConcat(arrayMap(x -> leaf_json(x), v.array_value.values), ','), ']'),
        v.value = 'kvlist_value', concat('{', arrayStringConcat(arrayMap(
            x -> concat(toJSONString(x.key), ':', leaf_json(x.value)), v.kvlist_value.values), ','), '}'),
        v.value = 'bytes_value', base64Encode(v.bytes_value), '') AS text,
    a -> mapFromArrays(a.key, arrayMap(x -> text(x.value), a)) AS as_map,
    k -> texts[indexOf(keys, k)] AS attribute,
    k -> floats[indexOf(keys, k)] + ints[indexOf(keys, k)] AS number,
    k -> if(isFinite(number(k)), toUInt32(least(greatest(number(k), 0), 4294967295)), 0) AS tokens,
    (a, b) -> if(a != '', a, b) AS either,
    -- By name: a lambda that looked at the bodies themselves would copy them once for every attribute.
    k -> k != key_in AND k != key_out AS keep,
    prices[concat(provider, ' ', either(response_model, request_model))] AS price
SELECT
    either(sent_project, 'default') AS project,
    lower(hex(sp.trace_id)) AS trace_id,
    lower(hex(sp.span_id)) AS span_id,
    if(sp.parent_span_id = unhex('0000000000000000'), '', lower(hex(sp.parent_span_id))) AS parent_span_id,
    sp.trace_state AS trace_state,
    fromUnixTimestamp64Nano(toInt64(sp.start_time_unix_nano), 'UTC') AS start_time,
    toUInt64(if(sp.end_time_unix_nano > sp.start_time_unix_nano, sp.end_time_unix_nano - sp.start_time_unix_nano, 0)) AS duration_ns,
    sp.name AS name,
    toInt8(if(sp.kind BETWEEN 0 AND 5, sp.kind, 0)) AS kind,
    toInt8(if(sp.status.code BETWEEN 0 AND 2, sp.status.code, 0)) AS status,
    sp.status.message AS status_message,
    attribute('error.type') AS error_type,
    res['service.name'] AS service,
    either(either(res['deployment.environment.name'], res['deployment.environment']), attribute('deployment.environment.name')) AS environment,
    scope.name AS scope_name,
    scope.version AS scope_version,
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
        input_tokens + output_tokens = 0 OR operation IN ('invoke_agent', 'invoke_workflow', 'execute_tool'), NULL,
        greatest(toInt64(input_tokens) - cached_tokens, 0) * price.1 + cached_tokens * price.2 + output_tokens * price.3) AS cost_usd,
    if(has(keys, 'gen_ai.response.time_to_first_chunk'), toFloat32(number('gen_ai.response.time_to_first_chunk')), NULL) AS ttft_s,
    body_in AS input,
    body_out AS output,
    mapFromArrays(arrayFilter(k -> keep(k), keys), arrayFilter((t, k) -> keep(k), texts, keys)) AS attributes,
    res AS resource,
    arrayMap(e -> (fromUnixTimestamp64Nano(toInt64(e.time_unix_nano), 'UTC'), e.name, as_map(e.attributes)), sp.events) AS events,
    arrayMap(l -> (lower(hex(l.1)), lower(hex(l.2))), sp.links) AS links,
    multiIf(
        isFinite(number('evalspan.sample_weight')) AND number('evalspan.sample_weight') > 0, number('evalspan.sample_weight'),
        threshold != '', 72057594037927936. / greatest(72057594037927936. - reinterpretAsUInt64(reverse(unhex(rightPad(threshold, 14, '0')))), 1.),
        1.) AS sample_weight,
    attribute('evalspan.sample_rule') AS sample_rule,
    if(received_ms = 0, now64(3), fromUnixTimestamp64Milli(toInt64(received_ms), 'UTC')) AS ingested_at
FROM
(
    WITH
        ps -> arrayStringConcat(arrayFilter(t -> t != '', ps.content), '\n') AS parts_text,
        JSONExtract(body_in, 'Array(Tuple(role String, content String, parts Array(Tuple(content String))))') AS messages,
        arrayFirstIndex(m -> m.role NOT IN ('system', 'developer'), messages) AS first_other,
        arraySlice(messages, 1, if(first_other = 0, toInt64(length(messages)), toInt64(first_other) - 1)) AS leading,
        parts_text(JSONExtract(sent_instructions, 'Array(Tuple(content String))')) AS instructions_text
    SELECT *,
        extract(sp.trace_state, 'ot=[^,]*\\bth:([0-9a-f]{1,14})') AS threshold,
        multiIf(
            instructions_text != '', instructions_text,
            sent_instructions != '', sent_instructions,
            position(body_in, '"role"') > 0,
            arrayStringConcat(arrayMap(m -> if(m.content != '', m.content, parts_text(m.parts)), leading), '\n'),
            '') AS instructions
    FROM
    (
        SELECT *,
            multiIf(
                attribute('gen_ai.input.messages') != '', 'gen_ai.input.messages',
                attribute('gen_ai.tool.call.arguments') != '', 'gen_ai.tool.call.arguments',
                attribute('gen_ai.retrieval.query.text') != '', '',
                'evalspan.input') AS key_in,
            multiIf(
                attribute('gen_ai.output.messages') != '', 'gen_ai.output.messages',
                attribute('gen_ai.tool.call.result') != '', 'gen_ai.tool.call.result',
                attribute('gen_ai.retrieval.documents') != '', 'gen_ai.retrieval.documents',
                'evalspan.output') AS key_out,
            attribute(either(key_in, 'gen_ai.retrieval.query.text')) AS body_in,
            attribute(key_out) AS body_out,
            attribute('gen_ai.system_instructions') AS sent_instructions
        FROM
        (
            SELECT sent_project, received_ms, res, scope, sp,
                sp.attributes.key AS keys,
                arrayMap(x -> text(x.value), sp.attributes) AS texts,
                sp.attributes.value.int_value AS ints,
                sp.attributes.value.double_value AS floats
            FROM
            (
                SELECT sent_project, received_ms, res, scoped.scope AS scope, arrayJoin(scoped.spans) AS sp
                FROM
                (
                    SELECT project AS sent_project, received_ms, as_map(rs.resource.attributes) AS res, arrayJoin(rs.scope_spans) AS scoped
                    FROM (SELECT project, received_ms, arrayJoin(resource_spans) AS rs FROM otlp_in)
                )
            )
        )
    )
);
