-- A reported cost of 0 beside tokens that have a price is what a sender says of a model that it does not know; of a model
-- that is free, or that nobody has a price for, it stays.
DROP VIEW IF EXISTS otlp_to_otlp_priced;
CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_to_otlp_priced TO otlp_priced AS
SELECT * EXCEPT (reported_as_sent),
    if(has_usage AND notEmpty(rate) AND NOT isNaN(dollars), dollars, NULL) AS computed,
    if(reported_as_sent >= 0 AND (reported_as_sent > 0 OR ifNull(computed, 0) = 0), reported_as_sent, NULL) AS reported
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
                    coalesce(numbers[17], numbers[18]) AS reported_as_sent,
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
