-- title: What raised the cost
-- answers: Which values of columns and attributes cost more now than before?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param middle DateTime64(3) = 2000-01-01 00:00:00 -- where "before" ends and "now" begins
-- param rows UInt32 = 60 -- how many values
-- column key -- a column or an attribute
-- column value -- one of its values
-- column before -- dollars per day before
-- column after -- dollars per day now
-- column all_before -- of everything
-- column all_after -- of everything
-- method: estimated cost per day of the two periods.
WITH
    greatest(dateDiff('second', {start:DateTime64(3)}, {middle:DateTime64(3)}), 1) / 86400 AS days_before,
    greatest(dateDiff('second', {middle:DateTime64(3)}, {end:DateTime64(3)}), 1) / 86400 AS days_after,
    priced AS (SELECT start_time >= {middle:DateTime64(3)} AS late, sample_weight * assumeNotNull(cost_usd) AS cost, service, environment, request_model, prompt_name, prompt_version, user_id, attributes, resource, trace_id
        FROM spans WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND role = 'call' AND cost_usd > 0)
SELECT key, value, sumIf(cost, NOT late) / days_before AS before, sumIf(cost, late) / days_after AS after, uniqExactIf(trace_id, late) AS traces,
    (SELECT sumIf(cost, NOT late) FROM priced) / days_before AS all_before, (SELECT sumIf(cost, late) FROM priced) / days_after AS all_after
FROM
(
    SELECT late, cost, trace_id, arrayJoin(arrayDistinct(arrayConcat([
        ('service', toString(service)), ('environment', toString(environment)), ('model', toString(request_model)), ('user', user_id),
        ('version', if(prompt_version = '', '', trimLeft(concat(prompt_name, ' ', prompt_version))))],
        arrayFilter(p -> length(p.2) BETWEEN 1 AND 80 AND p.1 NOT IN ('user.id', 'service.name', 'deployment.environment', 'deployment.environment.name', 'session.id', 'server.address', 'server.port', 'service.instance.id') AND NOT startsWith(p.1, 'gen_ai.') AND (NOT startsWith(p.1, 'evalspan.') OR startsWith(p.1, 'evalspan.tag.')) AND NOT startsWith(p.1, 'telemetry.'),
            arrayZip(arrayConcat(mapKeys(attributes), mapKeys(resource)), arrayConcat(mapValues(attributes), mapValues(resource))))))) AS pair,
        toString(pair.1) AS key, pair.2 AS value
    FROM priced
)
WHERE value != ''
GROUP BY key, value
ORDER BY abs(after - before) DESC, key, value
LIMIT {rows:UInt32}
SETTINGS final = 0
