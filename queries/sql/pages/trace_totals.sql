-- title: Totals of traces
-- answers: How many spans, tokens, errors and dollars does each of these traces have?
-- param ids Array(String) = [] -- trace ids
-- param project String = '' -- one project, '' for all
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- column spans -- spans kept
-- column errors -- spans with status ERROR
-- column cost_usd -- sum of the known prices
-- column unpriced -- model calls whose price is unknown
-- column model -- of the model call that ended last: the one that answered
-- column models -- how many models the trace used
-- column prompt -- of that call: the prompt's name and version
SELECT
    trace_id, count() AS spans, countIf(status = 'ERROR') AS errors,
    sumIf(ifNull(s.input_tokens, 0), model_call) AS input_tokens, sumIf(ifNull(s.output_tokens, 0), model_call) AS output_tokens,
    sumIf(s.cost_usd, model_call) AS cost_usd, countIf(model_call AND s.cost_usd IS NULL AND NOT (status = 'ERROR' AND s.input_tokens IS NULL)) AS unpriced,
    argMaxIf(request_model, ended, chat AND request_model != '') AS model, uniqExactIf(request_model, chat AND request_model != '') AS models,
    argMaxIf(prompt, ended, chat AND prompt_version != '') AS prompt
FROM
(
    SELECT trace_id, span_id, status, start_time + toIntervalNanosecond(duration_ns) AS ended, prompt_version, trimLeft(concat(prompt_name, ' ', prompt_version)) AS prompt, input_tokens, output_tokens, cost_usd,
        if(spans.request_model != '', spans.request_model, response_model) AS request_model,
        role = 'call' AS model_call, model_call AND operation != 'embeddings' AS chat
    FROM spans
    WHERE trace_id IN {ids:Array(String)}
        AND project = {project:String} -- if project
        AND start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
) AS s
GROUP BY trace_id
