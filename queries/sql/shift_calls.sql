-- title: The scored calls around a change
-- answers: Every scored call before and after a moment, or a fair draw of them, with what may explain its score: prompt,
--   model, segment, topic, service, language, tools, parameters, release, and whether a document was retrieved that nobody saw before.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param of Identifier = evaluations -- evaluations, or usage for error_rate, latency, ttft (logarithms of ms), cost, input_tokens, output_tokens
-- param metric String -- evaluation name
-- param changed String = '' -- the moment (ISO 8601, UTC), empty for a week before the end
-- param before_s UInt32 = 2419200 -- length of the time before it in seconds
-- param until String = '' -- end of the time after it (ISO 8601, UTC), empty for now
-- param sample UInt32 = 20000 -- about so many calls on each side where there are more, drawn by hash of their ids
-- column is_after -- 1 from the moment on
-- column score -- its score, 1 and 0 for a passed and a failed one
-- column weight -- 1 / probability that it was sampled
-- column span_time -- when
-- column trace_id -- its trace
-- column service -- its service
-- column segment -- its segment
-- column topic -- its topic, where `input_topic` names it
-- column language -- language of what was asked, where it is known
-- column model -- requested models of it and the other calls of its trace, one a line
-- column prompt -- fingerprints of their system prompts, one a line
-- column version -- names and versions that the application gave their prompts, one a line
-- column tools -- fingerprint of the tool definitions it was given
-- column parameters -- temperature, top_p and the largest number of tokens
-- column release -- `service.version`
-- column tool_failed -- 1 if a tool failed in its trace
-- column new_documents -- 1 if its trace retrieved a document that no trace before the moment retrieved
-- method: joins by trace; documents by their id, else by a hash of their text.
-- source: own.
WITH
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    if({changed:String} = '', until_time - toIntervalDay(7), parseDateTime64BestEffort({changed:String}, 3, 'UTC')) AS changed_time,
    changed_time - toIntervalSecond({before_s:UInt32}) AS from_time,
    ((own, others) -> arrayStringConcat(arraySort(arrayDistinct(arrayFilter(v -> v != '', arrayPushBack(others, own)))), '\n')) AS all_of,
    scored AS
    (
        SELECT trace_id, span_id, span_time, sample_weight, service, segment, toString(input_language) AS language, toString(request_model) AS own_model, toString(system_hash) AS own_prompt, trimLeft(concat(prompt_name, if(prompt_version = '', '', ' '), prompt_version)) AS own_version, span_time >= changed_time AS is_after, evaluator_version, created_at,
            assumeNotNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS y,
            count() OVER (PARTITION BY span_time >= changed_time) AS side_n
        FROM {of:Identifier} AS s
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND s.name = {metric:String} AND span_time >= from_time AND span_time < until_time
            AND experiment_id = '' AND source != 'human' AND sample_weight > 0
            AND (score IS NOT NULL OR passed != 'unknown')
    ),
    drawn AS
    (
        SELECT *, argMax(evaluator_version, (span_time, created_at)) OVER () AS newest FROM scored
        WHERE sipHash64(trace_id, span_id) % greatest(1, intDiv(side_n, {sample:UInt32})) = 0
    ),
    topics AS
    (
        SELECT trace_id, any(label) AS topic FROM evaluations
        WHERE project = {project:String} AND name = 'input_topic' AND span_time >= from_time AND span_time < until_time GROUP BY trace_id
    ),
    around AS
    (
        SELECT trace_id, start_time, role, status, output, toString(request_model) AS model, toString(system_hash) AS prompt, trimLeft(concat(prompt_name, if(prompt_version = '', '', ' '), prompt_version)) AS version, attributes['gen_ai.tool.definitions'] AS tool_definitions, resource['service.version'] AS release,
            attributes['gen_ai.request.temperature'] AS temperature, attributes['gen_ai.request.top_p'] AS top_p, attributes['gen_ai.request.max_tokens'] AS max_tokens
        FROM spans
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND start_time >= from_time AND start_time < until_time
    ),
    retrieved AS
    (
        SELECT trace_id, start_time, arrayJoin(arrayMap(d -> if(JSONExtractString(d, 'id') != '', JSONExtractString(d, 'id'), hex(sipHash64(d))), JSONExtractArrayRaw(output))) AS document
        FROM around WHERE role = 'retrieval' AND output != ''
    ),
    fresh AS
    (
        SELECT DISTINCT trace_id FROM retrieved WHERE start_time >= changed_time AND document NOT IN (SELECT document FROM retrieved WHERE start_time < changed_time)
    ),
    traces AS
    (
        SELECT trace_id, anyIf(hex(sipHash64(tool_definitions)), tool_definitions != '') AS tools, anyIf(release, release != '') AS release,
            anyIf(concat('temperature ', temperature, ', top_p ', top_p, ', max_tokens ', max_tokens), temperature != '' OR top_p != '' OR max_tokens != '') AS parameters,
            max(role = 'tool' AND status = 'ERROR') AS tool_failed, groupUniqArrayIf(model, model != '') AS models, groupUniqArrayIf(prompt, prompt != '') AS prompts, groupUniqArrayIf(version, version != '') AS versions
        FROM around WHERE trace_id IN (SELECT trace_id FROM drawn) GROUP BY trace_id
    )
SELECT is_after, y AS score, sample_weight AS weight, span_time, d.trace_id AS trace_id, toString(service) AS service, toString(segment) AS segment, topics.topic AS topic, d.language AS language,
    all_of(own_model, traces.models) AS model, all_of(own_prompt, traces.prompts) AS prompt, all_of(own_version, traces.versions) AS version, lower(traces.tools) AS tools, traces.parameters AS parameters, traces.release AS release,
    traces.tool_failed AS tool_failed, d.trace_id IN (SELECT trace_id FROM fresh) AS new_documents
FROM drawn AS d LEFT JOIN traces ON d.trace_id = traces.trace_id LEFT JOIN topics ON d.trace_id = topics.trace_id
WHERE evaluator_version = newest
ORDER BY span_time, trace_id
