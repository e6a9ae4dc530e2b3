-- title: Turns: where conversations break off
-- answers: For every turn number: how many conversations got that far, which share ended there, how often the turn failed,
--   and how its traces were judged.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param metric String = '' -- evaluation of traces that says what a failure is, empty for all of them
-- param since_s UInt32 = 604800 -- length of the period in which conversations began, in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param idle_s UInt32 = 1800 -- a conversation has ended when nothing came for so long
-- param most UInt32 = 50 -- turns up to this one
-- column turn -- number of the turn, from 1
-- column n -- stored conversations that reached it
-- column conversations -- estimated conversations, the sum of the weights
-- column effective_n -- what the stored ones are worth (Kish)
-- column break_off_rate -- weighted share of the ended conversations that ended with this turn
-- column break_off_low -- lower end of its 95 % Wilson interval, on the effective n
-- column break_off_high -- upper end
-- column error_rate -- weighted share of turns with a failed root or model call
-- column error_low -- lower end of its 95 % Wilson interval
-- column error_high -- upper end
-- column judged_n -- turns with a verdict
-- column failure_rate -- weighted share of those that failed an evaluation
-- column failure_low -- lower end of its 95 % Wilson interval
-- column failure_high -- upper end
-- column unknown_n -- conversations left out because nobody knows with which probability they were kept
-- method: one conversation counts once per turn; weights are 1 / probability of the whole conversation.
-- source: Wilson (1927); Kish (1965).
WITH
    1.959963984540054 AS z,
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    -- include wilson_interval
    -- include judged_traces
    exchanges AS
    (
        SELECT conversation_id AS conversation, trace_id, min(start_time) AS began, max(start_time + toIntervalNanosecond(duration_ns)) AS ended,
            max(status = 'ERROR' AND (parent_span_id = '' OR role = 'call')) AS is_error,
            countIf(attributes['evalspan.conversation_weight'] = '') AS unmarked, any(attributes['evalspan.conversation_weight']) AS mark,
            countIf(sample_weight != 1 OR sample_rule != '') AS sampled
        FROM spans
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND conversation_id != '' AND start_time >= since_time AND start_time < until_time
        GROUP BY conversation, trace_id
    ),
    whole AS
    (
        SELECT conversation, arraySort(groupArray((began, trace_id, is_error))) AS turns, max(ended) AS last_at,
            multiIf(sum(unmarked) = 0 AND uniqExact(mark) = 1, ifNull(toFloat64OrNull(any(mark)), 0), sum(sampled) = 0, 1., 0.) AS w
        FROM exchanges GROUP BY conversation
    ),
    numbered AS
    (
        SELECT w, number, turns[number].3 AS is_error, number = length(turns) AS is_last, last_at < until_time - toIntervalSecond({idle_s:UInt32}) AS is_over,
            turns[number].2 AS trace_id
        FROM whole ARRAY JOIN arrayEnumerate(turns) AS number WHERE number <= {most:UInt32}
    ),
    summed AS
    (
        SELECT number, countIf(w > 0) AS reached, sum(w) AS total, pow(total, 2) / sum(w * w) AS worth,
            sumIf(w, is_over) AS over_total, pow(over_total, 2) / sumIf(w * w, is_over) AS over_worth, sumIf(w, is_over AND is_last) / over_total AS ends,
            sumIf(w, is_error) / total AS errors, countIf(w > 0 AND judged.trace_id != '') AS judged_turns,
            sumIf(w, judged.trace_id != '') AS judged_total, pow(judged_total, 2) / sumIf(w * w, judged.trace_id != '') AS judged_worth,
            sumIf(w, judged.is_failed) / judged_total AS failures, countIf(w = 0) AS unknown
        FROM numbered LEFT JOIN judged ON judged.trace_id = numbered.trace_id
        GROUP BY number
    )
SELECT number AS turn, reached AS n, total AS conversations, if(reached = 0, 0, worth) AS effective_n,
    if(over_total = 0, NULL, ends) AS break_off_rate,
    if(over_total = 0, NULL, greatest(0, centre(ends, over_worth) - half(ends, over_worth))) AS break_off_low,
    if(over_total = 0, NULL, least(1, centre(ends, over_worth) + half(ends, over_worth))) AS break_off_high,
    if(reached = 0, NULL, errors) AS error_rate,
    if(reached = 0, NULL, greatest(0, centre(errors, worth) - half(errors, worth))) AS error_low,
    if(reached = 0, NULL, least(1, centre(errors, worth) + half(errors, worth))) AS error_high,
    judged_turns AS judged_n, if(judged_turns = 0, NULL, failures) AS failure_rate,
    if(judged_turns = 0, NULL, greatest(0, centre(failures, judged_worth) - half(failures, judged_worth))) AS failure_low,
    if(judged_turns = 0, NULL, least(1, centre(failures, judged_worth) + half(failures, judged_worth))) AS failure_high,
    unknown AS unknown_n
FROM summed
ORDER BY turn
