-- {rows} spans of {traces} traces over 30 days, about 3 KB of messages each, and one evaluation a span.
INSERT INTO spans
    (project, trace_id, span_id, parent_span_id, start_time, duration_ns, name, kind, status, service, environment,
     operation, provider, request_model, response_model, prompt_name, prompt_version, system_hash, conversation_id,
     user_id, input_tokens, output_tokens, cost_usd, input, output, attributes, resource, ingested_at)
SELECT
    'default' AS project,
    lower(hex(sipHash128(intDiv(number, 5)))) AS trace_id,
    leftPad(lower(hex(sipHash64(number))), 16, '0') AS span_id,
    if(number % 5 = 0, '', leftPad(lower(hex(sipHash64(intDiv(number, 5) * 5))), 16, '0')) AS parent_span_id,
    toDateTime64('2026-11-01 00:00:00', 9, 'UTC') + toIntervalMillisecond(intDiv(number * 2592000000, {rows:UInt64})) AS start_time,
    toUInt64(5e7 + 2e9 * pow(randCanonical(number), 3)) AS duration_ns,
    ['answer', 'retrieve', 'chat', 'execute_tool', 'chat'][number % 5 + 1] AS name,
    if(number % 5 = 0, 'SERVER', 'CLIENT') AS kind,
    if(sipHash64(number, 1) % 100 = 0, 'ERROR', 'UNSET') AS status,
    ['shop', 'support', 'search'][sipHash64(intDiv(number, 5)) % 3 + 1] AS service,
    'production' AS environment,
    ['invoke_workflow', 'retrieval', 'chat', 'execute_tool', 'chat'][number % 5 + 1] AS operation,
    ['', '', 'openai', '', 'anthropic'][number % 5 + 1] AS provider,
    ['', '', 'gpt-5-mini', '', 'claude-5-haiku'][number % 5 + 1] AS request_model,
    request_model AS response_model,
    ['answer', 'summarise', 'route'][sipHash64(intDiv(number, 5), 2) % 3 + 1] AS prompt_name,
    toString(intDiv(number * 4, {rows:UInt64})) AS prompt_version,
    leftPad(lower(hex(sipHash64(prompt_name, prompt_version))), 16, '0') AS system_hash,
    toString(sipHash64(intDiv(number, 20)) % 100000) AS conversation_id,
    toString(sipHash64(intDiv(number, 20), 3) % 20000) AS user_id,
    if(operation = 'chat', sipHash64(number, 4) % 2000, 0) AS input_tokens,
    if(operation = 'chat', sipHash64(number, 5) % 400, 0) AS output_tokens,
    if(operation = 'chat', (input_tokens + 4 * output_tokens) * 1e-7, NULL) AS cost_usd,
    concat('[{"role":"user","parts":[{"type":"text","content":"', substring({text:String}, sipHash64(number, 6) % 40000 + 1, 1500), '"}]}]') AS input,
    concat('[{"role":"assistant","parts":[{"type":"text","content":"', substring({text:String}, sipHash64(number, 7) % 40000 + 1, 1200), '"}]}]') AS output,
    map('server.address', 'api.example.com', 'gen_ai.request.temperature', '0.2', 'evalspan.tag.plan',
        ['free', 'pro', 'enterprise'][sipHash64(intDiv(number, 20)) % 3 + 1], 'order', toString(number)) AS attributes,
    map('service.name', service, 'host.name', concat('host-', toString(number % 8))) AS resource,
    toDateTime64(start_time, 3) AS ingested_at
FROM numbers({from:UInt64}, {count:UInt64})
SETTINGS max_insert_block_size = 50000, max_insert_threads = 1, max_threads = 1
