-- title: Cost over time, by one column or attribute
-- answers: What does what cost, per day?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param bucket_s UInt32 = 86400 -- seconds of one point
-- param top UInt32 = 7 -- how many values, the dearest first; the others are one
-- column value -- the value, else (others)
-- column whole -- 1 for the row of the whole range, 0 for a point
-- column cost_usd -- estimated dollars
-- column cost_low -- lower end of the 95 % interval, for what sampling left out
-- column traces -- stored traces
-- column cached -- share of the input tokens that came from a cache
-- column unpriced -- estimated calls of unknown price
-- method: Horvitz-Thompson totals. Slots: the value as group, conditions on the trace.
WITH
    priced AS
    (
        SELECT trace_id, start_time, sample_weight AS w, ifNull(cost_usd, 0) AS cost, cost_usd IS NULL AND request_model != '' AS unpriced, input_tokens, cached_tokens, output_tokens, ifNull(toString(
-- slot group
        ), '') AS value
        FROM spans
        WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND role = 'call'
-- slot conditions
    ),
    (SELECT groupArray(value) FROM (SELECT value FROM priced GROUP BY value ORDER BY sum(w * cost) DESC, value LIMIT {top:UInt32})) AS dearest
SELECT if(has(dearest, priced.value), priced.value, '(others)') AS label, toDateTime(toStartOfInterval(toDateTime64(start_time, 3, 'UTC'), toIntervalSecond({bucket_s:UInt32}), toDateTime64('1970-01-05', 3, 'UTC')), 'UTC') AS bucket, grouping(bucket) = 1 AS whole, label AS value, bucket AS time,
    count() AS n, uniqExact(cityHash64(trace_id)) AS traces, sum(w) AS calls, sum(w * cost) AS cost_usd, 1.959964 * sqrt(sum((1 - 1 / greatest(w, 1)) * pow(w * cost, 2))) AS half, greatest(0, cost_usd - half) AS cost_low, cost_usd + half AS cost_high,
    sum(w * ifNull(input_tokens, 0)) AS input_tokens, sum(w * ifNull(output_tokens, 0)) AS output_tokens, if(input_tokens > 0, sum(w * ifNull(cached_tokens, 0)) / input_tokens, 0) AS cached, sumIf(w, unpriced) AS unpriced_calls
FROM priced
GROUP BY GROUPING SETS ((label), (label, bucket))
ORDER BY label, bucket
SETTINGS final = 0
