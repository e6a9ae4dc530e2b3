-- title: Spans over time
-- answers: How many spans arrived, how many failed, how many do they are estimated to stand for?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param bucket_s UInt32 = 3600 -- seconds of one bar
-- column time -- start of the bucket, by start of the span
-- column kept -- spans stored
-- column estimated_calls -- spans they are estimated to stand for
-- column errors -- weighted spans with status ERROR
SELECT toDateTime(toStartOfInterval(toDateTime64(start_time, 3, 'UTC'), toIntervalSecond({bucket_s:UInt32}), toDateTime64('1970-01-05', 3, 'UTC')), 'UTC') AS time, count() AS kept, sum(sample_weight) AS estimated_calls,
    sumIf(sample_weight, status = 'ERROR') AS errors, sum(cost_usd * sample_weight) AS cost_usd
FROM spans
WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
GROUP BY time ORDER BY time
SETTINGS final = 0
