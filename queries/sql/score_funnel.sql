-- title: From calls to scores
-- answers: Of the calls of the period, how many were stored, evaluated and scored by every evaluator, why the others
--   were not, how far behind evaluation is and what it cost.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param metric String = '' -- evaluation name, empty for all
-- param since_s UInt32 = 86400 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- column metric -- evaluation name
-- column evaluator_version -- the evaluator's version
-- column source -- code, llm_judge, human, user_feedback or sdk
-- column calls -- estimated calls of the application, also those that sampling dropped
-- column stored -- stored calls
-- column evaluated -- calls with an evaluation
-- column scored -- evaluations with a score
-- column unscored -- evaluations without one
-- column unscored_reasons -- their reasons with counts, the most frequent first
-- column share_unscored -- weighted share of the evaluations without a score
-- column share_of_calls -- share of the stored calls that were evaluated
-- column last_evaluation -- when the last evaluation was written
-- column median_lag_s -- median time from a call to its evaluation, in seconds
-- column cost_usd -- what judging cost
-- method: counts; calls by the sum of the weights.
-- source: own.
WITH
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    received AS
    (
        SELECT count() AS stored, sum(sample_weight) AS calls FROM spans
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND role = 'call' AND start_time >= since_time AND start_time < until_time
    ),
    judged AS
    (
        SELECT name, evaluator_version, source, uniqExact(trace_id, span_id) AS spans_judged, count() AS n,
            countIf(score IS NOT NULL OR passed != 'unknown') AS n_scored,
            sumIf(sample_weight, score IS NULL AND passed = 'unknown') / sum(sample_weight) AS share_unscored,
            sumMapIf([if(error = '', 'no reason given', leftUTF8(error, 120))], [toUInt64(1)], score IS NULL AND passed = 'unknown') AS reason_counts,
            max(created_at) AS last_evaluation, quantileExact(0.5)(dateDiff('millisecond', span_time, created_at) / 1000) AS median_lag_s,
            sum(judge_cost_usd) AS cost
        FROM evaluations
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND ({metric:String} = '' OR name = {metric:String}) AND experiment_id = ''
            AND span_time >= since_time AND span_time < until_time
        GROUP BY name, evaluator_version, source
    )
SELECT name AS metric, evaluator_version, source, received.calls AS calls, received.stored AS stored, spans_judged AS evaluated,
    n_scored AS scored, n - n_scored AS unscored, arrayReverseSort(reason -> reason.2, arrayZip(reason_counts.1, reason_counts.2)) AS unscored_reasons,
    share_unscored, if(received.stored = 0, NULL, spans_judged / received.stored) AS share_of_calls, last_evaluation, median_lag_s, cost AS cost_usd
FROM judged CROSS JOIN received
ORDER BY metric, evaluator_version, source
