-- title: The graph of an agent's steps
-- answers: Which step follows which over many traces, how often, and how often the step failed or the trace was judged a
--   failure.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param agent String = '' -- only traces with this agent, empty for all with a tool or an agent
-- param trace String = '' -- the path of this trace alone, empty for all
-- param metric String = '' -- evaluation of traces that says what a failure is, empty for all of them
-- param since_s UInt32 = 604800 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param limit UInt32 = 200 -- edges, the most frequent first
-- column source -- the step before, `start` before the first
-- column target -- the step: its role and name, `end` after the last
-- column n -- stored times that the target followed the source
-- column traces -- traces in which it did
-- column times -- estimated times, the sum of the weights
-- column share -- weighted share of what followed the source
-- column error_rate -- weighted share of the target's steps that failed
-- column judged_n -- of the traces, those with a verdict
-- column failure_rate -- weighted share of these that failed
-- method: steps are tool calls, retrievals, agents and model calls in order of their start; equal steps in a row are one edge to
--   themselves.
-- source: own.
WITH
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    -- include judged_traces
    -- include repeated_tools
    paths AS
    (
        SELECT trace_id, any(sample_weight) AS w,
            arraySlice(arraySort(groupArray((start_time, -toInt64(duration_ns), multiIf(role = 'call', 'model', role = 'tool', concat('tool ', if(tool_name != '', tool_name, name)),
                role = 'agent', concat('agent ', if(agent_name != '', agent_name, name)), 'retrieval'), status = 'ERROR'))), 1, 2000) AS steps
        FROM spans
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND role IN ('call', 'tool', 'retrieval', 'agent') AND start_time >= since_time AND start_time < until_time AND sample_weight > 0
            AND ({trace:String} = '' OR trace_id = {trace:String})
            AND (trace_id, span_id) NOT IN (SELECT trace_id, span_id FROM repeated)
        GROUP BY trace_id
        HAVING if({agent:String} = '', countIf(role IN ('tool', 'agent')) > 0, countIf(agent_name = {agent:String}) > 0)
    ),
    edges AS
    (
        SELECT p.trace_id AS trace_id, w, pair.1 AS before, pair.2.1 AS after, pair.2.2 AS is_error, judged.trace_id != '' AS is_judged, judged.is_failed AS is_failed
        FROM paths AS p
        ARRAY JOIN arrayZip(arrayConcat(['start'], steps.3), arrayConcat(arrayZip(steps.3, steps.4), [('end', toUInt8(0))])) AS pair
        LEFT JOIN judged ON judged.trace_id = p.trace_id
    ),
    counted AS
    (
        SELECT before, after, count() AS stored, uniqExact(trace_id) AS in_traces, sum(w) AS total, sumIf(w, is_error) / total AS errors,
            uniqExactIf(trace_id, is_judged) AS judged_traces, sumIf(w, is_judged AND is_failed) / sumIf(w, is_judged) AS failures
        FROM edges GROUP BY before, after
    )
SELECT before AS source, after AS target, stored AS n, in_traces AS traces, total AS times, total / sum(total) OVER (PARTITION BY before) AS share,
    errors AS error_rate, judged_traces AS judged_n, if(judged_traces = 0, NULL, failures) AS failure_rate
FROM counted
ORDER BY times DESC, source, target
LIMIT {limit:UInt32}
