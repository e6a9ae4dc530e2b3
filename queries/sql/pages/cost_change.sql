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
-- method: estimated cost per day of the two periods; what a call carries itself comes before what its resource says. Each kind of value is added up in a scan of its own columns.
WITH
    greatest(dateDiff('second', {start:DateTime64(3)}, {middle:DateTime64(3)}), 1) / 86400 AS days_before,
    greatest(dateDiff('second', {middle:DateTime64(3)}, {end:DateTime64(3)}), 1) / 86400 AS days_after,
    priced AS (SELECT start_time >= {middle:DateTime64(3)} AS late, sample_weight * assumeNotNull(cost_usd) AS cost, service, environment, request_model, prompt_name, prompt_version, user_id, attributes, resource
        FROM spans WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND role = 'call' AND cost_usd > 0)
SELECT key, value, before, after, all_before, all_after
FROM
(
    SELECT any(k) AS key, any(v) AS value, sumIf(c, NOT l) / days_before AS before, sumIf(c, l) / days_after AS after,
        -- Of all groups the row without a key is the sum of everything.
        sumIf(before, key = '') OVER () AS all_before, sumIf(after, key = '') OVER () AS all_after
    FROM
    (
        SELECT late AS l, cost AS c, toLowCardinality(pair.1) AS k, pair.2 AS v
        FROM
        (
            SELECT late, cost, arrayJoin([('', 'all'), ('service', toString(service)), ('environment', toString(environment)), ('model', toString(request_model)),
                ('version', if(prompt_version = '', '', trimLeft(concat(prompt_name, ' ', prompt_version))))]) AS pair
            FROM (SELECT late, service, environment, request_model, prompt_name, prompt_version, sum(priced.cost) AS cost FROM priced GROUP BY late, service, environment, request_model, prompt_name, prompt_version)
        )
        UNION ALL
        SELECT late AS l, sum(cost) AS c, toLowCardinality('user') AS k, user_id AS v FROM priced GROUP BY late, user_id
        UNION ALL
        SELECT l, c, k, v
        FROM (SELECT late AS l, cost AS c, attributes.keys AS ks, attributes.values AS vs FROM priced)
        ARRAY JOIN ks AS k, vs AS v
        WHERE k NOT IN ('user.id', 'service.name', 'deployment.environment', 'deployment.environment.name', 'session.id', 'server.address', 'server.port', 'service.instance.id') AND NOT startsWith(k, 'gen_ai.') AND (NOT startsWith(k, 'evalspan.') OR startsWith(k, 'evalspan.tag.')) AND NOT startsWith(k, 'telemetry.')
        UNION ALL
        SELECT l, c, k, v
        FROM (SELECT late AS l, sum(cost) AS c, any(resource.keys) AS ks, any(resource.values) AS vs, any(attributes.keys) AS own FROM priced GROUP BY late, cityHash64(resource.values, resource.keys, attributes.keys))
        ARRAY JOIN ks AS k, vs AS v
        WHERE NOT has(own, k) AND k NOT IN ('user.id', 'service.name', 'deployment.environment', 'deployment.environment.name', 'session.id', 'server.address', 'server.port', 'service.instance.id') AND NOT startsWith(k, 'gen_ai.') AND (NOT startsWith(k, 'evalspan.') OR startsWith(k, 'evalspan.tag.')) AND NOT startsWith(k, 'telemetry.')
    )
    WHERE length(v) BETWEEN 1 AND 80
    GROUP BY cityHash64(k, v)
    ORDER BY key = '' DESC, abs(after - before) DESC, key, value
    LIMIT {rows:UInt32} + 1
)
WHERE key != ''
ORDER BY abs(after - before) DESC, key, value
SETTINGS final = 0
