-- title: Facets of the traces
-- answers: Which models, operations, versions and errors occur, and how often?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- column facet -- the name of the column
-- column value -- one of its values
-- column n -- spans it stands for, by sample weight
SELECT facet, value, round(sum(weight)) AS n
FROM
(
    SELECT sample_weight AS weight, arrayJoin([
        ('status', if(status = 'ERROR', 'ERROR', '')), ('operation', toString(operation)), ('model', toString(request_model)),
        ('version', toString(prompt_version)), ('error', toString(error_type)), ('name', toString(name))]) AS pair,
        pair.1 AS facet, pair.2 AS value
    FROM spans
    WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
    AND ({project:String} = '' OR project = {project:String})
    AND ({environment:String} = '' OR environment = {environment:String})
    AND ({service:String} = '' OR service = {service:String})
)
WHERE value != ''
GROUP BY facet, value
ORDER BY facet, n DESC, value
LIMIT 8 BY facet
SETTINGS final = 0
