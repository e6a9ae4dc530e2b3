-- title: Production failures worth a test case
-- answers: Calls whose evaluation failed, that raised an error, or that users marked down, the surest first and one
--   per input; what `evalspan export failures` starts from.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param metric String = '' -- evaluation name, empty for all
-- param since_s UInt32 = 86400 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param limit UInt32 = 100 -- at most so many
-- column trace_id -- the trace
-- column span_id -- the call
-- column start_time -- when
-- column reasons -- evaluations that failed, "error" for a call that raised
-- column verified_by_person -- 1 if a person or a user's feedback is among them
-- column lowest_score -- the lowest score among the failed evaluations
-- column explanation -- an evaluator's reason
-- column input -- the messages sent (JSON)
-- column output -- the messages received (JSON)
-- column service -- the service
-- column request_model -- the model
-- column prompt_version -- the prompt's version
-- column system_hash -- the prompt's fingerprint
-- column sample_weight -- how many calls it stands for
-- method: selection, not estimation: never average over these rows.
-- source: own.
WITH
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    failed AS
    (
        SELECT trace_id, span_id, groupUniqArray(toString(name)) AS names, max(source IN ('human', 'user_feedback')) AS by_person,
            min(score) AS lowest, anyIf(explanation, explanation != '') AS why
        FROM evaluations
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND ({metric:String} = '' OR name = {metric:String}) AND passed = 'fail' AND experiment_id = ''
            AND span_time >= since_time AND span_time < until_time
        GROUP BY trace_id, span_id
    )
SELECT s.trace_id AS trace_id, s.span_id AS span_id, start_time,
    arrayConcat(f.names, if(status = 'ERROR', ['error'], [])) AS reasons, f.by_person AS verified_by_person, f.lowest AS lowest_score,
    if(f.why != '', f.why, status_message) AS explanation, input, output, service, request_model, prompt_version, system_hash, sample_weight
FROM
(
    SELECT * FROM spans
    WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
        AND operation != '' AND start_time >= since_time AND start_time < until_time
        AND ((trace_id, span_id) IN (SELECT trace_id, span_id FROM failed) OR (trace_id, '') IN (SELECT trace_id, span_id FROM failed) AND parent_span_id = ''
            OR ({metric:String} = '' AND status = 'ERROR'))
) AS s
LEFT JOIN failed AS f ON s.trace_id = f.trace_id AND (f.span_id = s.span_id OR f.span_id = '')
ORDER BY verified_by_person DESC, length(reasons) DESC, lowest_score, start_time DESC
LIMIT 1 BY cityHash64(input)
LIMIT {limit:UInt32}
