-- The decoder again, for less processor time: the second view in two, with a table that stores nothing between them. What
-- a view costs to plan grows faster than what is in it. Names and numbers are looked up one by one: a function over the
-- list of names would copy all texts of a span once for every name.
DROP VIEW IF EXISTS otlp_to_spans;
DROP VIEW IF EXISTS otlp_to_otlp_priced;
DROP TABLE IF EXISTS otlp_priced;
-- A span with its role, its token counts and what they cost.
CREATE TABLE IF NOT EXISTS otlp_priced
(
    sent_project        String,
    sent_trace_id       String,
    sent_span_id        String,
    sent_parent_span_id String,
    sent_kind           Int32,
    received_ms         UInt64,
    resource            Map(LowCardinality(String), String),
    scope_name          String,
    scope_version       String,
    trace_state         String,
    name                String,
    started             UInt64,
    ended               UInt64,
    status_code         Int32,
    status_message      String,
    keys                Array(LowCardinality(String)),
    texts               Array(String),
    events              Array(Tuple(time DateTime64(9, 'UTC'), name LowCardinality(String), attributes Map(LowCardinality(String), String))),
    links               Array(Tuple(trace_id String, span_id String)),
    names               Array(String),
    numbers             Array(Nullable(Float64)),
    place_of_query      UInt64,
    place_in            UInt64,
    place_out           UInt64,
    counts              Array(UInt32),
    sent_input          Nullable(UInt32),
    sent_output         Nullable(UInt32),
    has_usage           UInt8,
    cache_write         UInt64,
    provider            String,
    calls               UInt8,
    reported            Nullable(Float64),
    sent_tier           String,
    began               UInt64,
    audio_cached        UInt32,
    paid_output         Int64,
    role                String,
    is_call             UInt8,
    tier                String,
    all_input           Nullable(UInt32),
    minute              UInt32,
    write_1h            UInt64,
    audio_in            Int64,
    audio_out           Int64,
    own                 UInt64,
    known               UInt64,
    rate                Array(Float64),
    is_own              UInt8,
    reason_of_none      String,
    image_out           Int64,
    dollars             Float64,
    computed            Nullable(Float64)
)
ENGINE = Null;
CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_to_otlp_priced TO otlp_priced AS
SELECT *,
    if(has_usage AND notEmpty(rate) AND NOT isNaN(dollars), dollars, NULL) AS computed
FROM
(
    SELECT *,
        arraySum((n, each) -> multiIf(n <= 0, 0, each < 0, nan, n * each), arrayMap(n -> toFloat64(n), [
            toInt64(ifNull(all_input, 0)) - counts[3] - cache_write - audio_in - counts[11] - counts[13],
            counts[3] - audio_cached, cache_write - write_1h, write_1h, paid_output - audio_out - image_out,
            1, counts[14], counts[15], audio_in, audio_cached, audio_out, counts[11], image_out, counts[13]]), arrayResize(arraySlice(rate, 5), 14)) AS dollars
    FROM
    (
        WITH
            (
                SELECT (groupArray(concat(provider, ' ', model)), groupArray([arrayMap(dollars -> ifNull(dollars, -1), [-1, 0, 1440, 0,
                    input_usd, ifNull(cached_usd, input_usd), ifNull(cache_write_usd, input_usd), coalesce(cache_write_1h_usd, cache_write_usd, input_usd),
                    ifNull(output_usd, 0), ifNull(request_usd, 0), web_search_usd, file_search_usd,
                    input_audio_usd, input_audio_usd, output_audio_usd, input_usd, ifNull(output_usd, 0), input_usd])]))
                FROM model_prices FINAL
                WHERE input_usd IS NOT NULL AND source = 'own'
            ) AS own_prices,
            (
                SELECT (groupArray(concat(provider, ' ', request_model, ' ', response_model, ' ', service_tier)), groupArray(rates), groupArray(source), groupArray(reason))
                FROM resolved_prices FINAL
            ) AS prices,
        SELECT *,
            arrayFirst(n -> n > 0, [
                    indexOf(own_prices.1, concat(provider, ' ', names[6])),
                    indexOf(own_prices.1, concat(provider, ' ', names[5])),
                    indexOf(own_prices.1, concat(' ', names[6])),
                    indexOf(own_prices.1, concat(' ', names[5]))]) AS own,
            indexOf(prices.1, concat(provider, ' ', names[5], ' ', names[6], ' ', tier)) AS known,
            arrayLast(r -> ifNull(all_input, 0) > r[1] AND minute >= r[2] AND minute < r[3] AND began >= r[4],
                multiIf(own = 0, (prices.2)[known], tier = '', (own_prices.2)[own], [])) AS rate,
            own > 0 OR (prices.3)[known] = 'settings' AS is_own,
            multiIf(own > 0, concat('no price for service tier ', tier), known > 0, (prices.4)[known], 'the model has no known price') AS reason_of_none,
            least(counts[12], paid_output - audio_out) AS image_out
        FROM
        (
            SELECT *,
                role = 'call' AS is_call,
                if(sent_tier IN ('default', 'auto', 'standard', 'standard_only', 'on_demand', 'none', 'null'), '', sent_tier) AS tier,
                -- More cached than there is: the total leaves out what was cached.
                if(counts[3] + cache_write > sent_input, toUInt32(least(sent_input + counts[3] + cache_write, 4294967295)), sent_input) AS all_input,
                intDiv(began % 86400, 60) AS minute,
                least(counts[7], cache_write) AS write_1h,
                greatest(toInt64(counts[8]) - audio_cached, 0) AS audio_in,
                least(counts[10], paid_output) AS audio_out
            FROM
            (
                SELECT *,
                    coalesce(numbers[17], numbers[18]) AS reported,
                    lower(arrayFirst(t -> t != '', arraySlice(names, 7, 3))) AS sent_tier,
                    intDiv(started, 1000000000) AS began,
                    least(counts[9], counts[3]) AS audio_cached,
                    toInt64(ifNull(sent_output, 0)) AS paid_output,
                    multiIf(
                        names[2] IN ('call', 'agent', 'tool', 'retrieval', 'workflow', 'other'), names[2],
                        -- A run in the background is a call where its answer is fetched.
                        calls, if(NOT has_usage AND status_code != 2 AND names[10] IN ('queued', 'in_progress'), 'other', 'call'),
                        names[1] IN ('', 'fetch_response') AND has_usage AND (names[5] != '' OR names[6] != ''), 'call',
                        transform(names[1], ['invoke_agent', 'create_agent', 'execute_tool', 'retrieval', 'vector_db_retrieve', 'search_memory', 'invoke_workflow'],
                            ['agent', 'agent', 'tool', 'retrieval', 'retrieval', 'retrieval', 'workflow'], 'other')) AS role
                FROM
                (
                    SELECT *,
                        if(ifNull(numbers[1], -1) < 0, NULL, counts[1]) AS sent_input,
                        if(ifNull(numbers[2], -1) < 0, NULL, counts[2]) AS sent_output,
                        ifNull(numbers[1], -1) >= 0 OR ifNull(numbers[2], -1) >= 0 AS has_usage,
                        toUInt64(greatest(counts[5], counts[6])) AS cache_write,
                        if(names[3] != '', names[3], names[4]) AS provider,
                        names[1] IN ('chat', 'text_completion', 'generate_content', 'embeddings', 'moderate') AS calls
                    FROM
                    (
                        SELECT *, arrayMap(n -> toUInt32(least(greatest(ifNull(n, 0), 0), 4294967295)), numbers) AS counts
                        FROM
                        (
                            WITH
                                arrayMap(t -> notEmpty(t), texts) AS filled,
                                k -> filled[indexOf(keys, k)] AS sent
                            SELECT
                                project AS sent_project, trace_id AS sent_trace_id, span_id AS sent_span_id, parent_span_id AS sent_parent_span_id, kind AS sent_kind,
                                received_ms, resource, scope_name, scope_version, trace_state, name, started, ended, status_code, status_message,
                                keys, texts, events, links,
                                [
                                    texts[indexOf(keys, 'gen_ai.operation.name')], texts[indexOf(keys, 'evalspan.role')], texts[indexOf(keys, 'gen_ai.provider.name')], texts[indexOf(keys, 'gen_ai.system')], texts[indexOf(keys, 'gen_ai.request.model')], texts[indexOf(keys, 'gen_ai.response.model')], -- 1 to 6
                                    texts[indexOf(keys, 'evalspan.service_tier')], texts[indexOf(keys, 'openai.response.service_tier')], texts[indexOf(keys, 'openai.request.service_tier')], texts[indexOf(keys, 'evalspan.response.status')], texts[indexOf(keys, 'error.type')], -- to 11
                                    texts[indexOf(keys, 'deployment.environment.name')], texts[indexOf(keys, 'gen_ai.agent.name')], texts[indexOf(keys, 'gen_ai.tool.name')], texts[indexOf(keys, 'gen_ai.prompt.name')], texts[indexOf(keys, 'gen_ai.prompt.version')], -- to 16
                                    texts[indexOf(keys, 'gen_ai.conversation.id')], texts[indexOf(keys, 'session.id')], texts[indexOf(keys, 'user.id')], texts[indexOf(keys, 'enduser.id')], texts[indexOf(keys, 'evalspan.sample_rule')], texts[indexOf(keys, 'gen_ai.system_instructions')] -- to 22
                                ] AS names,
                                -- From the text: some senders write numbers as text. What is endless or no number was not sent.
                                arrayMap(t -> (toFloat64OrNull(t) AS n, if(isFinite(n), n, NULL)).2, [
                                    texts[indexOf(keys, 'gen_ai.usage.input_tokens')], texts[indexOf(keys, 'gen_ai.usage.output_tokens')], texts[indexOf(keys, 'gen_ai.usage.cache_read.input_tokens')], texts[indexOf(keys, 'gen_ai.usage.reasoning.output_tokens')], -- 1 to 4
                                    texts[indexOf(keys, 'gen_ai.usage.cache_write.input_tokens')], texts[indexOf(keys, 'gen_ai.usage.cache_creation.input_tokens')], texts[indexOf(keys, 'evalspan.usage.cache_write_1h.input_tokens')], -- to 7
                                    texts[indexOf(keys, 'gen_ai.usage.audio.input_tokens')], texts[indexOf(keys, 'evalspan.usage.cache_read.audio.input_tokens')], texts[indexOf(keys, 'gen_ai.usage.audio.output_tokens')], -- to 10
                                    texts[indexOf(keys, 'gen_ai.usage.image.input_tokens')], texts[indexOf(keys, 'gen_ai.usage.image.output_tokens')], texts[indexOf(keys, 'gen_ai.usage.video.input_tokens')], -- to 13
                                    texts[indexOf(keys, 'evalspan.usage.web_searches')], texts[indexOf(keys, 'evalspan.usage.file_searches')], texts[indexOf(keys, 'evalspan.cost_usd')], texts[indexOf(keys, 'evalspan.reported_cost_usd')], texts[indexOf(keys, 'gen_ai.usage.cost')], -- to 18
                                    texts[indexOf(keys, 'gen_ai.response.time_to_first_chunk')], texts[indexOf(keys, 'evalspan.sample_weight')]]) AS numbers,
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
                        )
                    )
                )
            )
        )
    )
);
-- Attributes by name become columns. What is promoted stays in `attributes` too, so that a row is the whole span; only
-- the bodies that fill `input` and `output` are not kept twice.
-- system_hash: sipHash64 of the text of gen_ai.system_instructions, else of the system messages that lead the input,
-- without what is filled in between fixed pieces (see 021).
-- sample_weight: what the sampler wrote, else 2^56 / (2^56 - threshold) from tracestate `ot=th:`, else 1.
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
    extractAll(if(empty(own_slots), '', instructions), '[^\n.!?:]*[\n.!?:]+|[^\n.!?:]+') AS pieces,
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
