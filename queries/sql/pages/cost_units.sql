-- title: Cost per conversation and per passed answer
-- answers: What does one conversation cost, one passed answer, and the judging?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- column conversations -- estimated conversations
-- column conversation_cost -- estimated dollars of their spans
-- column passed -- estimated answers that no evaluator failed
-- column judged -- estimated answers that were judged
-- column judged_cost -- dollars of the traces of judged answers
-- column judge_cost_usd -- dollars that judging cost
WITH
    judged AS
    (
        SELECT cityHash64(trace_id) AS trace, maxIf(passed = 'fail', answer) AS failed, maxIf(sample_weight, answer) AS w, max(answer) AS is_judged, sum(judge_cost_usd) AS judging
        FROM
        (
            SELECT trace_id, passed, sample_weight, judge_cost_usd, passed != 'unknown' AND trace_id != '' AND sample_weight > 0 AND source != 'human'
                AND environment = {environment:String} -- if environment
                AND service = {service:String} -- if service
                AS answer
            FROM evaluations FINAL
            WHERE span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)} AND experiment_id = ''
                AND project = {project:String} -- if project
        )
        GROUP BY trace
    ),
    traces AS
    (
        SELECT cityHash64(trace_id) AS trace, max(if(conversation_id = '', 0, cityHash64(conversation_id))) AS conversation, max(sample_weight) AS w, sumIf(ifNull(cost_usd, 0), role = 'call') AS cost, count() > 0 AS is_stored
        FROM spans
        WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        GROUP BY trace
    )
SELECT uniqExactIf(t.conversation, t.conversation != 0) AS conversations, sumIf(t.cost * t.w, t.conversation != 0) / greatest(1, avgIf(t.w, t.conversation != 0)) AS conversation_cost,
    sumIf(j.w, j.is_judged AND t.is_stored) AS judged, sumIf(j.w, j.is_judged AND t.is_stored AND NOT j.failed) AS passed, sumIf(j.w * t.cost, j.is_judged AND t.is_stored) AS judged_cost,
    sum(j.judging) AS judge_cost_usd
FROM judged AS j FULL OUTER JOIN traces AS t ON t.trace = j.trace
SETTINGS final = 0, join_use_nulls = 0
