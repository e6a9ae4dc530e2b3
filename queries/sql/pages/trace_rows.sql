-- title: Spans of listed traces
-- answers: What do the spans of these traces hold, and what was asked and answered?
-- param ids Array(String) = [] -- trace ids
-- param spans Array(String) = [] -- the spans by which they entered
-- param keys Array(String) = [] -- attributes that are shown, too
-- param attributed UInt8 = 0 -- 1 reads these attributes of the entries
-- param entries UInt8 = 0 -- 1 reads the entries only
-- param texts UInt8 = 1 -- 1 reads the texts
-- param most UInt32 = 16384 -- longer texts are left out
-- param rows UInt32 = 2001 -- how many spans at most
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- column asked -- the whole input of an entry or a model call
-- column answered -- the whole output of an entry or a model call
-- column long -- 1 where one of them is longer
-- column extra -- the values of those attributes
-- method: plain columns; what is added up and shortened is so in queries/listed_traces.py, as each expression costs more than its rows.
SELECT project, trace_id, span_id, start_time, duration_ns, name, kind, operation, role, service, environment, status, error_type, status_message,
    request_model, response_model, prompt_name, prompt_version, conversation_id, user_id, input_tokens, output_tokens, cost_usd, sample_weight, sample_rule,
    span_id IN {spans:Array(String)} AS entry, entry OR role = 'call' AS told,
    if(told AND length(input) <= {most:UInt32}, input, '') AS asked, if(told AND length(output) <= {most:UInt32}, output, '') AS answered, -- if texts
    arrayMap(k -> if(mapContains(attributes, k), attributes[k], resource[k]), if(entry, {keys:Array(String)}, [])) AS extra, -- if attributed
    told AND (length(input) > {most:UInt32} OR length(output) > {most:UInt32}) AS long, -- if texts
    ingested_at
FROM spans
WHERE trace_id IN {ids:Array(String)} AND start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
    AND span_id IN {spans:Array(String)} -- if entries
LIMIT {rows:UInt32}
SETTINGS final = 0
