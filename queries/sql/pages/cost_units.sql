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
        SELECT trace_id, max(passed = 'fail') AS failed, max(sample_weight) AS w
        FROM evaluations FINAL
        WHERE span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND experiment_id = '' AND passed != 'unknown' AND trace_id != '' AND sample_weight > 0 AND source != 'human'
        GROUP BY trace_id
    ),
    traces AS
    (
        SELECT trace_id, any(conversation_id) AS conversation, max(sample_weight) AS w, sumIf(ifNull(cost_usd, 0), role = 'call') AS cost
        FROM spans
        WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        GROUP BY trace_id
    )
SELECT (SELECT uniqExactIf(conversation, conversation != '') FROM traces) AS conversations, (SELECT sumIf(cost * w, conversation != '') / greatest(1, avgIf(w, conversation != '')) FROM traces) AS conversation_cost,
    sum(j.w) AS judged, sumIf(j.w, NOT j.failed) AS passed, sum(j.w * t.cost) AS judged_cost,
    (SELECT sum(judge_cost_usd) FROM evaluations FINAL WHERE span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)} AND experiment_id = ''
        AND project = {project:String} -- if project
    ) AS judge_cost_usd
FROM judged AS j INNER JOIN traces AS t ON t.trace_id = j.trace_id
SETTINGS final = 0
