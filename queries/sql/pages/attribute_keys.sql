-- title: Keys that filters and groups can name
-- answers: Which attributes do the spans of the range carry?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- column key -- the attribute
-- column n -- spans that carry it
SELECT key, count() AS n
FROM
(
    SELECT arrayJoin(arrayConcat(mapKeys(attributes), mapKeys(resource))) AS key
    FROM spans
    WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
)
WHERE key NOT LIKE 'gen_ai.%.messages' AND key NOT IN ('gen_ai.system_instructions', 'evalspan.input', 'evalspan.output')
GROUP BY key ORDER BY n DESC, key LIMIT 200
SETTINGS final = 0
