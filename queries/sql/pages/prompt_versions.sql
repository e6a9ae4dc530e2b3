-- title: Prompts and their versions
-- answers: Which version of each prompt was used when, how often, how fast, at what cost?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param name String = '' -- one prompt, '' for all
-- column prompt -- the prompt's name, else the name of the span that sends it
-- column version -- its version, '' when nobody gave one
-- column hash -- fingerprint of the system instructions, of the newest call
-- column hashes -- how many fingerprints this version had
-- column first -- its first call in the range
-- column last -- its last
-- column n -- stored calls
-- column calls -- estimated calls
-- column errors -- estimated calls that failed
-- column traces -- stored traces
-- column first_trace -- the first trace
-- method: Horvitz-Thompson totals; weighted quantiles.
SELECT if(prompt_name != '', prompt_name, name) AS prompt, prompt_name != '' AS named, if(prompt_version != '', prompt_version, if(system_hash != '', concat('#', substring(system_hash, 1, 8)), '')) AS version,
    argMax(s.system_hash, start_time) AS hash, uniqExactIf(s.system_hash, s.system_hash != '') AS hashes, min(start_time) AS first, max(start_time) AS last, count() AS n, sum(w) AS calls, pow(calls, 2) / sum(w * w) AS effective_n,
    sumIf(w, status = 'ERROR') AS errors, uniqExact(s.trace_id) AS traces, argMin(s.trace_id, start_time) AS first_trace, argMin(s.span_id, start_time) AS first_span, argMax(s.trace_id, start_time) AS newest_trace, argMax(s.span_id, start_time) AS newest_span,
    quantilesExactWeighted(0.5, 0.95)(duration_ns / 1e6, toUInt64(round(w * 1024))) AS latency, latency[1] AS p50_ms, latency[2] AS p95_ms, sum(w * ifNull(cost_usd, 0)) / calls AS cost_per_call, groupUniqArray(3)(toString(service)) AS services
FROM
(
    SELECT *, sample_weight AS w FROM spans
    WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND (prompt_name != '' OR system_hash != '') AND role = 'call'
) AS s
WHERE 1
    AND prompt = {name:String} -- if name
GROUP BY prompt, named, version
ORDER BY prompt, first
LIMIT 500
SETTINGS final = 0
