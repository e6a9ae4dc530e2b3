-- title: Spans of listed traces
-- answers: What do the spans of these traces hold, and what was asked and answered?
-- param ids Array(String) = [] -- trace ids
-- param spans Array(String) = [] -- the spans by which they entered
-- param keys Array(String) = [] -- attributes that are shown, too
-- param attributed UInt8 = 0 -- 1 reads these attributes of the entries
-- param entries UInt8 = 0 -- 1 reads the entries only
-- param texts UInt8 = 1 -- 1 reads the texts
-- param most UInt32 = 16385 -- characters of a text at most
-- param rows UInt32 = 2001 -- how many spans at most
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- column asked -- the input of an entry or a model call, cut
-- column answered -- the output of an entry or a model call, cut
-- column extra -- the values of those attributes
-- method: plain columns; what is added up and shortened is so in queries/listed_traces.py, as each expression costs more than its rows.
SELECT project, trace_id, span_id, start_time, duration_ns, name, kind, operation, role, service, environment, status, error_type, status_message,
    request_model, response_model, prompt_name, prompt_version, conversation_id, user_id, input_tokens, output_tokens, cost_usd, sample_weight, sample_rule,
    if(role = 'call' OR span_id IN {spans:Array(String)}, leftUTF8(input, {most:UInt32}), '') AS asked, if(role = 'call' OR span_id IN {spans:Array(String)}, leftUTF8(output, {most:UInt32}), '') AS answered, -- if texts
    arrayMap(k -> if(mapContains(attributes, k), attributes[k], resource[k]), if(span_id IN {spans:Array(String)}, {keys:Array(String)}, [])) AS extra, -- if attributed
    ingested_at
FROM spans
WHERE trace_id IN {ids:Array(String)} AND start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
    AND span_id IN {spans:Array(String)} -- if entries
LIMIT {rows:UInt32}
SETTINGS final = 0
