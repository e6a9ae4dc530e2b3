-- title: Facets of the traces
-- answers: Under the filters that are set, which models, operations, prompts and errors occur, and in how many traces?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param only String = '' -- one facet, '' for all
-- param every UInt8 = 0 -- 1 counts traces also without a root span in the store
-- column facet -- the kind of value
-- column value -- one of its values
-- column n -- traces that have it: as many as the list shows when it is chosen
-- method: distinct traces; a facet that is chosen is counted without its own filter. Slot: conditions on the trace.
WITH listed AS
(
    SELECT trace_id FROM spans
    WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
    AND environment = {environment:String} -- if environment
    AND service = {service:String} -- if service
    AND (parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER') OR {every:UInt8} = 1)
-- slot conditions
)
SELECT facet, value, uniqExact(trace_id) AS n
FROM
(
    SELECT trace_id, arrayJoin([
        ('status', if(status = 'ERROR', 'ERROR', '')), ('operation', toString(operation)), ('model', toString(request_model)),
        ('version', if(prompt_version = '' OR role != 'call', '', trimLeft(concat(prompt_name, ' ', prompt_version)))),
        ('error', toString(error_type)), ('tool', toString(tool_name)), ('agent', toString(agent_name)), ('name', toString(name))]) AS pair,
        pair.1 AS facet, pair.2 AS value
    FROM spans
    WHERE start_time >= {start:DateTime64(3)} - INTERVAL 1 HOUR AND start_time < {end:DateTime64(3)} + INTERVAL 1 HOUR
    AND project = {project:String} -- if project
    AND trace_id IN (SELECT trace_id FROM listed)
)
WHERE value != ''
    AND facet = {only:String} -- if only
GROUP BY facet, value
ORDER BY facet, n DESC, value
LIMIT 9 BY facet
SETTINGS final = 0
