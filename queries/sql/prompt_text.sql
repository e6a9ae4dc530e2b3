-- title: What a prompt fingerprint stands for
-- answers: The system instructions of the newest call with a fingerprint, as they were sent.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param system_hash String = '' -- the fingerprint, empty for the newest call's
-- param version String = '' -- instead of it name and version that the application gave, with a space between
-- param since_s UInt32 = 5184000 -- calls of this time, in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- column system_hash -- the fingerprint
-- column instructions -- the text: of gen_ai.system_instructions, else of the system messages that lead the input
-- column start_time -- when that call began
-- column trace_id -- its trace
-- method: the newest call.
-- source: own.
WITH if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time
SELECT toString(system_hash) AS system_hash,
    arrayStringConcat(arrayMap(part -> JSONExtractString(part, 'content'),
        if(attributes['gen_ai.system_instructions'] != '', JSONExtractArrayRaw(attributes['gen_ai.system_instructions']),
            arrayFlatten(arrayMap(m -> JSONExtractArrayRaw(m, 'parts'), arrayFilter(m -> JSONExtractString(m, 'role') IN ('system', 'developer'), JSONExtractArrayRaw(input)))))), '\n') AS instructions,
    start_time, trace_id
FROM spans
WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
    AND start_time >= until_time - toIntervalSecond({since_s:UInt32}) AND start_time < until_time
    AND (system_hash != '' OR {version:String} != '') AND ({version:String} = '' OR concat(prompt_name, if(prompt_version = '', '', ' '), prompt_version) = {version:String}) AND ({system_hash:String} = '' OR system_hash = {system_hash:String})
ORDER BY start_time DESC
LIMIT 1
