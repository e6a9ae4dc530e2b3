-- title: What the model was asked and what it answered
-- answers: The stored model calls of a period with their content and the dimensions that a score copies.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param since_s UInt32 = 1209600 -- how far back, in seconds
-- param limit UInt32 = 10000 -- at most so many, newest first
-- column trace_id -- trace
-- column span_id -- span of the call
-- column start_time -- when it was made
-- column service -- service
-- column environment -- deployment environment
-- column request_model -- model asked for
-- column prompt_name -- prompt name, if tagged
-- column prompt_version -- prompt version, if tagged
-- column system_hash -- fingerprint of the system instructions
-- column input -- input messages, JSON
-- column output -- output messages, JSON
-- column sample_weight -- how many calls this one stands for
-- method: none.
-- source: own.
SELECT trace_id, span_id, start_time, service, environment, request_model, prompt_name, prompt_version, system_hash,
    input, output, sample_weight
FROM spans
WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
    AND role = 'call' AND operation != 'embeddings' AND status != 'ERROR'
    AND start_time >= now64(9, 'UTC') - toIntervalSecond({since_s:UInt32})
ORDER BY start_time DESC, span_id
LIMIT {limit:UInt32}
