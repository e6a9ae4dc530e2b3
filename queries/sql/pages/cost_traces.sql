-- title: Traces behind a risen cost
-- answers: How many traces have each of these values?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param values Array(String) = [] -- values of one column or attribute
-- column value -- one of them
-- column traces -- traces with a call of known price that has it
-- method: distinct traces, by a 64-bit hash. Slot: the column or attribute as group.
SELECT value, uniqExact(trace) AS traces
FROM
(
    SELECT cityHash64(trace_id) AS trace, toString(
-- slot group
    ) AS value
    FROM spans
    WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND role = 'call' AND cost_usd > 0
)
WHERE value IN {values:Array(String)}
GROUP BY value
SETTINGS final = 0
