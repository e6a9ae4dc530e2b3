-- title: Agents: errors, failed traces, latency, tokens, cost
-- answers: How often every agent runs and fails, how often the trace it runs in is judged a failure, how long it takes
--   and what its model calls cost.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param metric String = '' -- evaluation of traces that says what a failure is, empty for all of them
-- param since_s UInt32 = 604800 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- column agent -- the agent
-- column n -- stored runs
-- column runs -- estimated runs, the sum of the weights
-- column effective_n -- what the stored runs are worth (Kish); those of one conversation, else trace, count as one
-- column error_rate -- weighted share of runs that failed
-- column error_low -- lower end of its 95 % Wilson interval, on the effective n
-- column error_high -- upper end
-- column judged_n -- stored runs in traces with a verdict
-- column failure_rate -- weighted share of those whose trace failed an evaluation
-- column failure_low -- lower end of its 95 % Wilson interval, on the effective n
-- column failure_high -- upper end
-- column latency_p50_ms -- weighted quantile of the duration
-- column latency_p95_ms -- weighted quantile
-- column tokens -- estimated total of the model calls directly inside
-- column cost_usd -- estimated total cost of these
-- method: weights are 1 / probability of having been kept; weighted quantiles are exact up to weights rounded to 1/1024.
-- source: Wilson (1927); Kish (1965).
WITH
    1.959963984540054 AS z,
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    -- include wilson_interval
    -- include judged_traces
    inside AS
    (
        SELECT trace_id, parent_span_id, sum(cost_usd) AS cost, sum(ifNull(input_tokens, 0) + ifNull(output_tokens, 0)) AS used_tokens FROM spans
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND role = 'call' AND start_time >= since_time AND start_time < until_time + toIntervalDay(1)
        GROUP BY trace_id, parent_span_id
    ),
    used AS
    (
        SELECT if(agent_name != '', toString(agent_name), toString(name)) AS agent, sample_weight AS w, status = 'ERROR' AS failed, duration_ns,
            sipHash64(if(conversation_id != '', conversation_id, t.trace_id)) AS cluster, judged.trace_id != '' AS is_judged, judged.is_failed AS is_failed,
            inside.cost AS cost, inside.used_tokens AS used_tokens
        FROM spans AS t
        LEFT JOIN judged ON judged.trace_id = t.trace_id
        LEFT JOIN inside ON inside.trace_id = t.trace_id AND inside.parent_span_id = t.span_id
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND role = 'agent' AND start_time >= since_time AND start_time < until_time AND sample_weight > 0
    ),
    summed AS
    (
        SELECT agent, count() AS stored, sum(w) AS total, sumIf(w, failed) / total AS errors,
            pow(total, 2) / arraySum(x -> x * x, sumMap([cluster], [w]).2) AS worth,
            countIf(is_judged) AS judged_runs, sumIf(w, is_judged AND is_failed) / sumIf(w, is_judged) AS failures,
            pow(sumIf(w, is_judged), 2) / arraySum(x -> x * x, sumMapIf([cluster], [w], is_judged).2) AS judged_worth,
            quantilesExactWeighted(0.5, 0.95)(duration_ns, toUInt64(round(w * 1024))) AS times, sum(w * ifNull(cost, 0)) AS spent, sum(w * used_tokens) AS all_tokens
        FROM used GROUP BY agent
    )
SELECT agent, stored AS n, total AS runs, worth AS effective_n, errors AS error_rate,
    greatest(0, centre(errors, worth) - half(errors, worth)) AS error_low, least(1, centre(errors, worth) + half(errors, worth)) AS error_high,
    judged_runs AS judged_n, if(judged_runs = 0, NULL, failures) AS failure_rate,
    if(judged_runs = 0, NULL, greatest(0, centre(failures, judged_worth) - half(failures, judged_worth))) AS failure_low,
    if(judged_runs = 0, NULL, least(1, centre(failures, judged_worth) + half(failures, judged_worth))) AS failure_high,
    times[1] / 1e6 AS latency_p50_ms, times[2] / 1e6 AS latency_p95_ms, all_tokens AS tokens, spent AS cost_usd
FROM summed
ORDER BY runs DESC, agent
