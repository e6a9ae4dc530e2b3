-- title: Tools: errors, wrong arguments, latency, cost
-- answers: How often every tool is called, fails and is called with wrong arguments, how long it takes and what the model
--   calls inside it cost.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param agent String = '' -- only calls by this agent, empty for all
-- param arguments String = arguments_valid -- the evaluation of ArgumentsValid that says which arguments were wrong
-- param since_s UInt32 = 604800 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- column tool -- the tool
-- column n -- stored calls
-- column calls -- estimated calls, the sum of the weights
-- column effective_n -- what the stored calls are worth (Kish); those of one conversation, else trace, count as one
-- column error_rate -- weighted share of calls that failed
-- column error_low -- lower end of its 95 % Wilson interval, on the effective n
-- column error_high -- upper end
-- column checked_n -- stored calls in traces whose arguments were checked
-- column wrong_argument_rate -- weighted share of those whose arguments were wrong
-- column wrong_low -- lower end of its 95 % Wilson interval, on the effective n
-- column wrong_high -- upper end
-- column latency_p50_ms -- weighted quantile of the duration
-- column latency_p95_ms -- weighted quantile
-- column cost_usd -- estimated total cost of the model calls directly inside
-- column last_error -- what it said when it last failed
-- method: weights are 1 / probability of having been kept; weighted quantiles are exact up to weights rounded to 1/1024.
-- source: Wilson (1927); Kish (1965).
WITH
    1.959963984540054 AS z,
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    -- include wilson_interval
    -- include repeated_tools
    -- one row per trace: which of its spans had wrong arguments
    checked AS
    (
        SELECT trace_id, groupUniqArrayArray(arrayMap(x -> JSONExtractString(x, 'span_id'), JSONExtractArrayRaw(metadata['wrong']))) AS wrong_ids
        FROM evaluations
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND unit = 'trace' AND name = {arguments:String} AND experiment_id = '' AND score IS NOT NULL
            AND span_time >= since_time - toIntervalDay(1) AND span_time < until_time + toIntervalDay(1)
        GROUP BY trace_id
    ),
    inside AS
    (
        SELECT trace_id, parent_span_id, sum(cost_usd) AS cost FROM spans
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND role = 'call' AND start_time >= since_time AND start_time < until_time + toIntervalDay(1)
        GROUP BY trace_id, parent_span_id
    ),
    used AS
    (
        SELECT if(tool_name != '', toString(tool_name), toString(name)) AS tool, t.trace_id AS trace_id, sample_weight AS w, status = 'ERROR' AS failed, duration_ns, start_time,
            if(status_message != '', status_message, toString(error_type)) AS said, sipHash64(if(conversation_id != '', conversation_id, t.trace_id)) AS cluster,
            checked.trace_id != '' AS is_checked, has(checked.wrong_ids, t.span_id) AS is_wrong, inside.cost AS cost
        FROM spans AS t
        LEFT JOIN checked ON checked.trace_id = t.trace_id
        LEFT JOIN inside ON inside.trace_id = t.trace_id AND inside.parent_span_id = t.span_id
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND role = 'tool' AND ({agent:String} = '' OR agent_name = {agent:String}) AND start_time >= since_time AND start_time < until_time AND sample_weight > 0
            AND (t.trace_id, t.span_id) NOT IN (SELECT trace_id, span_id FROM repeated)
    ),
    summed AS
    (
        SELECT tool, count() AS stored, sum(w) AS total, sumIf(w, failed) / total AS errors,
            pow(total, 2) / arraySum(x -> x * x, sumMap([cluster], [w]).2) AS worth,
            countIf(is_checked) AS checks, sumIf(w, is_checked AND is_wrong) / sumIf(w, is_checked) AS wrongs,
            pow(sumIf(w, is_checked), 2) / arraySum(x -> x * x, sumMapIf([cluster], [w], is_checked).2) AS checked_worth,
            quantilesExactWeighted(0.5, 0.95)(duration_ns, toUInt64(round(w * 1024))) AS times, sum(w * ifNull(cost, 0)) AS spent,
            argMaxIf(said, start_time, failed) AS last_said
        FROM used GROUP BY tool
    )
SELECT tool, stored AS n, total AS calls, worth AS effective_n, errors AS error_rate,
    greatest(0, centre(errors, worth) - half(errors, worth)) AS error_low, least(1, centre(errors, worth) + half(errors, worth)) AS error_high,
    checks AS checked_n, if(checks = 0, NULL, wrongs) AS wrong_argument_rate,
    if(checks = 0, NULL, greatest(0, centre(wrongs, checked_worth) - half(wrongs, checked_worth))) AS wrong_low,
    if(checks = 0, NULL, least(1, centre(wrongs, checked_worth) + half(wrongs, checked_worth))) AS wrong_high,
    times[1] / 1e6 AS latency_p50_ms, times[2] / 1e6 AS latency_p95_ms, spent AS cost_usd, last_said AS last_error
FROM summed
ORDER BY calls DESC, tool
