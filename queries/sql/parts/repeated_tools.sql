-- Spans of tools that tell of a call which another span tells already: inside the tool span of the same name (a framework's
-- around a protocol's), or a protocol's span (`tools/call NAME`) beside the framework's in one trace. Names that a framework
-- prefixes with the server's, mcp__shop__find, are compared without it.
tools AS
(
    SELECT trace_id, span_id, parent_span_id, startsWith(name, 'tools/call') AS is_protocol,
        arrayElement(splitByString('__', if(tool_name != '', toString(tool_name), toString(name))), -1) AS plain
    FROM spans
    WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
        AND role = 'tool' AND start_time >= since_time AND start_time < until_time
),
repeated AS
(
    SELECT trace_id, span_id FROM tools
    WHERE (trace_id, parent_span_id, plain) IN (SELECT trace_id, span_id, plain FROM tools)
        OR (is_protocol AND (trace_id, plain) IN (SELECT trace_id, plain FROM tools WHERE NOT is_protocol))
),
