-- title: Values of one column or attribute
-- answers: Which values does it take, and in how many spans?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param begins String = '' -- only values that begin so
-- column value -- the value
-- column n -- spans that have it
-- method: Slot: the column or attribute as group.
SELECT value, count() AS n
FROM
(
    SELECT ifNull(toString(
-- slot group
    ), '') AS value
    FROM spans
    WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
)
WHERE value != '' AND length(value) <= 200
    AND startsWith(lower(value), lower({begins:String})) -- if begins
GROUP BY value ORDER BY n DESC, value LIMIT 30
SETTINGS final = 0
