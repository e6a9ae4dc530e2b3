-- title: Traffic, errors, latency and cost over time
-- answers: Is anything wrong right now?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param bucket_s UInt32 = 3600 -- seconds of one point
-- column value -- the service, '' for all of them
-- column time -- start of the bucket
-- column traces -- estimated traces, by their entry spans
-- column failed -- estimated traces whose entry span failed
-- column calls -- estimated model calls
-- column call_errors -- estimated model calls that failed
-- column effective_traces -- what the stored traces are worth (Kish)
-- column effective_calls -- what the stored model calls are worth (Kish)
-- column p50_ms -- weighted median duration of the traces
-- column p95_ms -- weighted 95 % quantile
-- column cost_usd -- estimated cost
-- method: Horvitz-Thompson totals; weighted quantiles.
SELECT toString(service) AS value, toDateTime(toStartOfInterval(toDateTime64(start_time, 3, 'UTC'), toIntervalSecond({bucket_s:UInt32}), toDateTime64('1970-01-05', 3, 'UTC')), 'UTC') AS time, grouping(value) = 1 AS whole,
    countIf(entry) AS n, sumIf(w, entry) AS traces, sumIf(w, entry AND bad) AS failed, if(traces > 0, pow(traces, 2) / sumIf(w * w, entry), 0) AS effective_traces,
    countIf(call) AS n_calls, sumIf(w, call) AS calls, sumIf(w, call AND bad) AS call_errors, if(calls > 0, pow(calls, 2) / sumIf(w * w, call), 0) AS effective_calls,
    quantilesBFloat16WeightedIf(0.5, 0.95)(duration_ns / 1e6, toUInt64(round(w * 1024)), entry) AS latency, latency[1] AS p50_ms, latency[2] AS p95_ms,
    sumIf(w * ifNull(cost_usd, 0), priced) AS cost_usd
FROM
(
    SELECT service, start_time, duration_ns, cost_usd, sample_weight AS w, status = 'ERROR' AS bad, parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER') AS entry,
        role = 'call' AS call, call AS priced
    FROM spans
    WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
)
GROUP BY GROUPING SETS ((time), (value, time))
ORDER BY whole DESC, value, time
SETTINGS final = 0
