-- title: Versions of prompts over time
-- answers: Which version of each prompt got which share of its calls, when?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param name String = '' -- one prompt, '' for all
-- param bucket_s UInt32 = 86400 -- seconds of one point
-- column time -- start of the bucket
-- column calls -- estimated calls
SELECT if(prompt_name != '', prompt_name, name) AS prompt, if(prompt_version != '', prompt_version, if(system_hash != '', concat('#', substring(system_hash, 1, 8)), '')) AS version,
    toDateTime(toStartOfInterval(toDateTime64(start_time, 3, 'UTC'), toIntervalSecond({bucket_s:UInt32}), toDateTime64('1970-01-05', 3, 'UTC')), 'UTC') AS time, sum(sample_weight) AS calls
FROM spans
WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND (prompt_name != '' OR system_hash != '') AND role = 'call'
        AND if(prompt_name != '', prompt_name, name) = {name:String} -- if name
GROUP BY prompt, version, time
ORDER BY prompt, time, version
SETTINGS final = 0
