-- title: How many scores there are to look at
-- answers: For every score: how many values the period and the time before it hold, how many are missing because
--   the evaluator failed, and which evaluator versions made them.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param of Identifier = evaluations -- evaluations, or usage for error_rate, latency, ttft (logarithms of ms), cost, input_tokens, output_tokens
-- param metric String = '' -- evaluation name, empty for all
-- param unit String = '' -- span, trace or conversation; empty for all, each by itself
-- param since_s UInt32 = 604800 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param baseline_s UInt32 = 0 -- length of the baseline just before the period in seconds, 0 for as long as the period
-- column metric -- evaluation name
-- column unit -- what the scores judge: span, trace or conversation
-- column evaluator_version -- the newest version
-- column other_versions -- versions with scores in baseline or period that are left out
-- column n_before -- scores of the newest version in the baseline
-- column n_after -- scores of the newest version in the period
-- column unscored_before -- share of evaluations of the newest version without a score, baseline, weighted
-- column unscored_after -- the same in the period
-- column first_score -- time of the newest version's first score
-- column last_score -- time of its last score
-- method: counts; shares weighted by the sampling weights.
-- source: own.
WITH
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    since_time - toIntervalSecond(if({baseline_s:UInt32} = 0, {since_s:UInt32}, {baseline_s:UInt32})) AS baseline_time,
    judged AS
    (
        SELECT (s.name, toString(s.unit)) AS name, evaluator_version AS one_version, span_time, created_at, sample_weight AS w, span_time >= since_time AS watched,
            score IS NOT NULL OR passed != 'unknown' AS scored
        FROM {of:Identifier} AS s
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND ({metric:String} = '' OR s.name = {metric:String}) AND ({unit:String} = '' OR s.unit = {unit:String})
            AND span_time >= baseline_time AND span_time < until_time AND experiment_id = '' AND source != 'human' AND sample_weight > 0
    ),
    newest AS
    (
        SELECT name, argMax(one_version, last) AS evaluator_version
        FROM (SELECT name, one_version, (max(span_time), max(created_at)) AS last FROM judged GROUP BY name, one_version) GROUP BY name
    )
SELECT name.1 AS metric, name.2 AS unit, evaluator_version,
    arraySort(groupUniqArrayIf(one_version, one_version != evaluator_version)) AS other_versions,
    countIf(scored AND NOT watched AND one_version = evaluator_version) AS n_before,
    countIf(scored AND watched AND one_version = evaluator_version) AS n_after,
    sumIf(w, NOT scored AND NOT watched AND one_version = evaluator_version) / greatest(sumIf(w, NOT watched AND one_version = evaluator_version), 1e-9) AS unscored_before,
    sumIf(w, NOT scored AND watched AND one_version = evaluator_version) / greatest(sumIf(w, watched AND one_version = evaluator_version), 1e-9) AS unscored_after,
    minIf(span_time, scored AND one_version = evaluator_version) AS first_score,
    maxIf(span_time, scored AND one_version = evaluator_version) AS last_score
FROM judged INNER JOIN newest USING (name)
GROUP BY name, evaluator_version
ORDER BY metric, unit
