-- title: Services, now and before
-- answers: How does each service do in the range, against the same length a week before?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param before_start DateTime64(3) = 1970-01-01 00:00:00 -- start of what is compared with
-- param before_end DateTime64(3) = 1970-01-01 00:00:00 -- its end
-- column value -- the service
-- column late -- 1 for the range, 0 for what it is compared with
-- method: Horvitz-Thompson totals; weighted quantiles.
SELECT toString(service) AS value, start_time >= {start:DateTime64(3)} AS late,
    countIf(entry) AS n, sumIf(w, entry) AS traces, sumIf(w, entry AND bad) AS failed, if(traces > 0, pow(traces, 2) / sumIf(w * w, entry), 0) AS effective_traces,
    sumIf(w, call) AS calls, sumIf(w, call AND bad) AS call_errors,
    quantilesBFloat16WeightedIf(0.5, 0.95)(duration_ns / 1e6, toUInt64(round(w * 1024)), entry) AS latency, latency[1] AS p50_ms, latency[2] AS p95_ms,
    sumIf(w * ifNull(cost_usd, 0), priced) AS cost_usd
FROM
(
    SELECT service, start_time, duration_ns, cost_usd, sample_weight AS w, status = 'ERROR' AS bad, parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER') AS entry,
        role = 'call' AS call, call AS priced
    FROM spans
    WHERE (start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)} OR start_time >= {before_start:DateTime64(3)} AND start_time < {before_end:DateTime64(3)})
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
)
GROUP BY value, late
ORDER BY late DESC, traces DESC, value
SETTINGS final = 0
