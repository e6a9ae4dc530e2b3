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
-- method: distinct traces (by a 64-bit hash); the row without a facet counts all traces of the list; a facet that is chosen is counted without its own filter. Slot: conditions on the trace.
WITH
    seen AS
    (
        SELECT cityHash64(trace_id) AS trace,
            start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
            AND environment = {environment:String} -- if environment
            AND service = {service:String} -- if service
            AND (parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER') OR {every:UInt8} = 1) AS listed,
            status = 'ERROR' AS failed, operation, request_model, if(role = 'call', prompt_name, '') AS prompt, if(role = 'call', prompt_version, '') AS version, error_type, tool_name, agent_name, name,
            cityHash64(failed, operation, request_model, prompt, version, error_type, tool_name, agent_name, name) AS kind_of_span
        FROM spans
        WHERE start_time >= {start:DateTime64(3)} - INTERVAL 1 HOUR AND start_time < {end:DateTime64(3)} + INTERVAL 1 HOUR
        AND project = {project:String} -- if project
-- slot conditions
    ),
    -- Few traces differ in which kinds of spans they hold: values are counted by these sets, not by span.
    sets AS
    (
        SELECT rowNumberInAllBlocks() AS number, kinds, n
        FROM (SELECT kinds, count() AS n FROM (SELECT arraySort(groupUniqArray(kind_of_span)) AS kinds FROM seen GROUP BY trace HAVING max(listed)) GROUP BY kinds)
    ),
    kinds_of_spans AS
    (
        SELECT kind_of_span, [('status', if(any(failed), 'ERROR', '')), ('operation', toString(any(operation))), ('model', toString(any(request_model))),
            ('version', if(any(version) = '', '', trimLeft(concat(any(prompt), ' ', any(version))))), ('error', toString(any(error_type))), ('tool', toString(any(tool_name))), ('agent', toString(any(agent_name))), ('name', toString(any(name)))] AS pairs
        FROM seen GROUP BY kind_of_span
    )
SELECT facet, value, sum(n) AS n
FROM
(
    SELECT any(s.n) AS n, arrayJoin(arrayPushBack(arrayDistinct(arrayFilter(p -> p.2 != '', arrayFlatten(groupArray(k.pairs)))), ('', ''))) AS pair, pair.1 AS facet, pair.2 AS value
    FROM (SELECT number, sets.n AS n, arrayJoin(kinds) AS kind_of_span FROM sets) AS s
    INNER JOIN kinds_of_spans AS k ON k.kind_of_span = s.kind_of_span
    GROUP BY number
)
WHERE 1
    AND facet = {only:String} -- if only
GROUP BY facet, value
ORDER BY facet, n DESC, value
LIMIT 9 BY facet
SETTINGS final = 0
