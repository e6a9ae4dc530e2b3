-- title: A measure over time, by any column or attribute
-- answers: How do calls, errors, latency, tokens and cost differ between the values of a column or an attribute?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param bucket_s UInt32 = 3600 -- seconds of one point
-- param top UInt32 = 8 -- how many values, those with the most calls first; the others are one row
-- param calls UInt8 = 0 -- 1 counts model calls
-- param tools UInt8 = 0 -- 1 counts tool calls
-- param entries UInt8 = 0 -- 1 counts traces, by the span with which each entered
-- param alone UInt8 = 1 -- 1 takes each span by itself, 0 sums up its trace
-- column value -- the value, one of the most frequent, else (others)
-- column whole -- 1 for the row of the whole range, 0 for a point
-- column time -- start of the bucket
-- column n -- rows stored
-- column traces -- traces stored that have this value
-- column calls -- estimated number, by sample weight
-- column effective_n -- what the rows are worth (Kish)
-- column errors -- estimated number that failed
-- column p50_ms -- weighted median of the duration
-- column p95_ms -- weighted 95 % quantile
-- column cost_usd -- estimated cost
-- method: Horvitz-Thompson totals, weighted quantiles. Slots: the value as group, conditions on the trace.
WITH
    units AS
    (
        SELECT trace_id, cityHash64(trace_id) AS trace, start_time, status, duration_ns, cost_usd, input_tokens, output_tokens, sample_weight AS w, ifNull(toString(
-- slot group
        ), '') AS value
        FROM spans
        WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND role = 'call' -- if calls
        AND role = 'tool' -- if tools
        AND (parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER')) -- if entries
        AND sample_weight > 0
-- slot conditions
    ),
    priced AS (SELECT cityHash64(trace_id) AS trace, sum(ifNull(cost_usd, 0)) AS cost, sum(ifNull(input_tokens, 0) + ifNull(output_tokens, 0)) AS tokens, max(status = 'ERROR') AS failed FROM spans WHERE start_time >= {start:DateTime64(3)} - INTERVAL 1 HOUR AND start_time < {end:DateTime64(3)} + INTERVAL 1 HOUR AND ({project:String} = '' OR project = {project:String}) AND role = 'call' GROUP BY trace), -- if entries,
    (SELECT groupArray(value) FROM (SELECT value FROM units GROUP BY value ORDER BY sum(w) DESC, value LIMIT {top:UInt32})) AS frequent
SELECT if(has(frequent, units.value), units.value, '(others)') AS label, toDateTime(toStartOfInterval(toDateTime64(start_time, 3, 'UTC'), toIntervalSecond({bucket_s:UInt32}), toDateTime64('1970-01-05', 3, 'UTC')), 'UTC') AS bucket,
    grouping(bucket) = 1 AS whole, label AS value, bucket AS time,
    count() AS n, uniqExact(units.trace) AS traces, sum(w) AS calls, pow(calls, 2) / sum(pow(w, 2)) AS effective_n,
    quantilesBFloat16Weighted(0.5, 0.95)(duration_ns / 1e6, toUInt64(round(w * 1024))) AS latency, latency[1] AS p50_ms, latency[2] AS p95_ms,
    sumIf(w, status = 'ERROR' OR failed) AS errors, sum(w * cost) AS cost_usd, sum(w * tokens) AS tokens -- if entries
    sumIf(w, status = 'ERROR') AS errors, sum(w * ifNull(cost_usd, 0)) AS cost_usd, sum(w * (ifNull(input_tokens, 0) + ifNull(output_tokens, 0))) AS tokens -- if alone
FROM units
LEFT JOIN priced ON priced.trace = units.trace -- if entries
GROUP BY GROUPING SETS ((label), (label, bucket))
ORDER BY label, bucket
SETTINGS final = 0
