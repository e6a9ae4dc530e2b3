-- title: Scores before and after, by value
-- answers: Which prompts, models, segments and attributes did a score change with?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param name String = '' -- the evaluation
-- param middle DateTime64(3) = 2000-01-01 00:00:00 -- when it changed, UTC
-- column key -- a column or an attribute
-- column value -- one of its values
-- column n_before -- scores before
-- column n_after -- scores since
-- column w_before -- their weight
-- column y_before -- weighted sum of the scores
-- column first_seen -- the first judged call with this value
-- method: weighted sums; the page computes means and what each value explains.
WITH
    scored AS
    (
        SELECT trace_id, span_id, span_time, span_time >= {middle:DateTime64(3)} AS late, sample_weight AS w, assumeNotNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS y,
            prompt_name, prompt_version, system_hash, request_model, segment, environment, service
        FROM evaluations FINAL
        WHERE name = {name:String} AND source NOT IN ('human', 'user_feedback') AND span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND experiment_id = '' AND sample_weight > 0 AND coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass'))) IS NOT NULL
    ),
    attributed AS
    (
        SELECT trace_id, any(arrayFilter(p -> length(p.2) BETWEEN 1 AND 60 AND p.1 NOT IN ('user.id', 'session.id', 'error.type', 'service.name', 'evalspan.cost_usd', 'server.address') AND NOT startsWith(p.1, 'gen_ai.') AND NOT startsWith(p.1, 'evalspan.input') AND NOT startsWith(p.1, 'telemetry.') AND NOT startsWith(p.1, 'deployment.') AND NOT startsWith(p.1, 'host.') AND NOT startsWith(p.1, 'http.'), arrayZip(arrayConcat(mapKeys(attributes), mapKeys(resource)), arrayConcat(mapValues(attributes), mapValues(resource))))) AS pairs
        FROM spans
        WHERE start_time >= {start:DateTime64(3)} - INTERVAL 1 HOUR AND start_time < {end:DateTime64(3)} + INTERVAL 1 HOUR AND (parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER'))
        AND project = {project:String} -- if project
        AND trace_id IN (SELECT trace_id FROM scored)
        GROUP BY trace_id
    )
SELECT key, value, countIf(NOT late) AS n_before, countIf(late) AS n_after, sumIf(w, NOT late) AS w_before, sumIf(w, late) AS w_after, sumIf(w * y, NOT late) AS y_before, sumIf(w * y, late) AS y_after,
    sumIf(pow(w, 2), late) AS ww_after, min(span_time) AS first_seen, max(span_time) AS last_seen
FROM
(
    SELECT late, w, y, span_time, arrayJoin(arrayConcat([('', ''), ('version', if(prompt_version = '', '', trimLeft(concat(prompt_name, ' ', prompt_version)))), ('hash', toString(system_hash)), ('model', toString(request_model)),
        ('segment', toString(segment)), ('environment', toString(environment)), ('service', toString(service))], arrayMap(p -> (toString(p.1), p.2), a.pairs))) AS pair, pair.1 AS key, pair.2 AS value
    FROM scored LEFT JOIN attributed AS a ON a.trace_id = scored.trace_id
)
WHERE key = '' OR value != ''
GROUP BY key, value
HAVING n_before + n_after >= 10
ORDER BY key, value
LIMIT 3000
SETTINGS final = 0
