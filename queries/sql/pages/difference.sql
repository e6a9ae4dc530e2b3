-- title: What is different about some traces
-- answers: Which values of columns and attributes do these traces have more often than the others of the range?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param rows UInt32 = 400 -- how many values are compared, at most
-- param min_n UInt32 = 3 -- values in fewer of these traces, and of the others, are left out
-- param most UInt32 = 20000 -- of more other traces than this, a sample is compared
-- column key -- a column or an attribute
-- column value -- one of its values
-- column n_in -- of these traces have it
-- column n_out -- of the others
-- column all_in -- these traces
-- column all_out -- the others
-- method: shares of distinct traces, by a 64-bit hash; the row without a key counts all of them. Slots: conditions on the trace that say which are inside; base, which are compared at all.
WITH
    chosen AS
    (
        SELECT DISTINCT cityHash64(trace_id) AS trace FROM spans
        WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
-- slot conditions
    ),
    compared AS
    (
        SELECT cityHash64(trace_id) AS trace, trace IN (SELECT trace FROM chosen) AS inside
        FROM spans
        WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND (parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER') OR inside)
-- slot base
        GROUP BY trace ORDER BY inside DESC, trace LIMIT {most:UInt32}
    )
SELECT key, value, n_in, n_out, all_in, all_out
FROM
(
    SELECT any(k) AS key, any(v) AS value, uniqExactIf(trace, inside) AS n_in, uniqExactIf(trace, NOT inside) AS n_out,
        sumIf(n_in, key = '') OVER () AS all_in, sumIf(n_out, key = '') OVER () AS all_out
    FROM
    (
        SELECT cityHash64(trace_id) AS trace, trace IN (SELECT trace FROM chosen) AS inside, arrayJoin(arrayConcat([('', 'all'),
            ('service', toString(service)), ('environment', toString(environment)), ('name', toString(name)), ('model', toString(request_model)), ('provider', toString(provider)),
            ('tool', toString(tool_name)), ('agent', toString(agent_name)), ('operation', toString(operation)), ('error', toString(error_type)), ('status', if(status = 'ERROR', 'ERROR', '')),
            ('version', if(prompt_version = '', '', trimLeft(concat(prompt_name, ' ', prompt_version)))), ('hash', toString(system_hash)), ('user', user_id), ('rule', toString(sample_rule))],
            arrayFilter(p -> length(p.2) BETWEEN 1 AND 80 AND p.1 NOT IN ('error.type', 'exception.type', 'user.id', 'service.name', 'deployment.environment', 'deployment.environment.name', 'enduser.id', 'session.id') AND NOT startsWith(p.1, 'gen_ai.') AND (NOT startsWith(p.1, 'evalspan.') OR startsWith(p.1, 'evalspan.tag.')),
                arrayZip(arrayConcat(mapKeys(attributes), mapKeys(resource)), arrayConcat(mapValues(attributes), mapValues(resource)))))) AS pair,
            toString(pair.1) AS k, pair.2 AS v
        FROM spans
        WHERE start_time >= {start:DateTime64(3)} - INTERVAL 1 HOUR AND start_time < {end:DateTime64(3)} + INTERVAL 1 HOUR
            AND project = {project:String} -- if project
            AND cityHash64(trace_id) IN (SELECT trace FROM compared)
    )
    WHERE v != ''
    GROUP BY cityHash64(k, v)
    HAVING greatest(n_in, n_out) >= {min_n:UInt32} AND (n_in >= 2 OR n_out >= 2) OR key = ''
)
WHERE key != ''
ORDER BY abs(n_in / greatest(all_in, 1) - n_out / greatest(all_out, 1)) DESC, key, value
LIMIT {rows:UInt32}
SETTINGS final = 0
