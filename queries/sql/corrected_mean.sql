-- title: What people would say, from few labels and many scores
-- answers: The mean that human labels would have over all calls of the period, from the calls that people labelled and
--   the evaluator's scores of the others; the evaluator's own mean beside it. Trust it from 40 labels on.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param metric String = '' -- evaluation name, empty for all
-- param unit String = '' -- span, trace or conversation; empty for all, each by itself
-- param since_s UInt32 = 2419200 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- column metric -- evaluation name
-- column unit -- what the scores judge: span, trace or conversation
-- column evaluator_version -- the newest version
-- column labels -- calls with a label and a score
-- column unlabelled -- calls with a score only
-- column evaluator_mean -- mean score of the unlabelled calls
-- column tuning -- how far the evaluator is trusted, 0 to 1
-- column mean -- the corrected mean
-- column standard_error -- of the corrected mean
-- column low -- lower end of its 95 % interval
-- column high -- upper end
-- method: PPI++ with weights: means weighted by 1 / probability, variances on Kish's effective n; several labels of one
--   call are averaged.
-- source: Angelopoulos, Duchi, Zrnic (2023); evaluators/statistics/estimates.py is its oracle where weights are equal.
WITH
    -- means of scores between 0 and 1 lie there, too
    ((x, on_unit) -> if(on_unit, greatest(0, least(1, x)), x)) AS cut,
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    judged AS
    (
        SELECT (s.name, toString(s.unit)) AS name, evaluator_version, source, if(s.unit = 'conversation', s.conversation_id, s.trace_id) AS trace_id, span_id, span_time, created_at, sample_weight,
            assumeNotNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS y
        FROM evaluations AS s
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND ({metric:String} = '' OR s.name = {metric:String}) AND ({unit:String} = '' OR s.unit = {unit:String}) AND experiment_id = '' AND sample_weight > 0
            AND span_time >= since_time AND span_time < until_time AND (score IS NOT NULL OR passed != 'unknown')
    ),
    human AS (SELECT name, trace_id, span_id, avg(y) AS label, any(sample_weight) AS label_weight FROM judged WHERE source = 'human' GROUP BY name, trace_id, span_id),
    newest AS (SELECT name, argMax(evaluator_version, (span_time, created_at)) AS evaluator_version FROM judged WHERE source IN ('code', 'llm_judge') GROUP BY name),
    machine AS
    (
        SELECT name, evaluator_version, trace_id, span_id, any(y) AS f, any(sample_weight) AS w FROM judged
        WHERE source IN ('code', 'llm_judge') AND (name, evaluator_version) IN (SELECT name, evaluator_version FROM newest)
        GROUP BY name, evaluator_version, trace_id, span_id
    ),
    joined AS
    (
        SELECT name, evaluator_version, f, label, label_weight > 0 AS labelled, if(labelled, label_weight, w) AS v
        FROM machine LEFT JOIN human USING (name, trace_id, span_id)
    ),
    tuned AS
    (
        SELECT name, any(evaluator_version) AS version_used, countIf(labelled) AS labels, countIf(NOT labelled) AS unlabelled,
            pow(sumIf(v, labelled), 2) / sumIf(v * v, labelled) AS n, pow(sumIf(v, NOT labelled), 2) / sumIf(v * v, NOT labelled) AS many,
            sumIf(v * f, labelled) / sumIf(v, labelled) AS f_labelled, sumIf(v * f, NOT labelled) / sumIf(v, NOT labelled) AS f_unlabelled,
            sumIf(v * label, labelled) / sumIf(v, labelled) AS y_labelled,
            groupArrayIf((label, f, v), labelled) AS pairs, groupArrayIf((f, v), NOT labelled) AS others,
            arraySum(x -> x.3 * (x.1 - y_labelled) * (x.2 - f_labelled), pairs) / sumIf(v, labelled) * labels / (labels - 1) AS covariance,
            varSampStable(f) AS spread, least(min(f), minIf(label, labelled)) >= 0 AND greatest(max(f), maxIf(label, labelled)) <= 1 AS on_unit,
            if(spread > 0, greatest(0, least(1, covariance / ((1 + n / many) * spread))), 0) AS tuning,
            y_labelled - tuning * f_labelled AS rectifier,
            arraySum(x -> x.3 * pow(x.1 - tuning * x.2 - rectifier, 2), pairs) / sumIf(v, labelled) * labels / (labels - 1) AS rectifier_variance,
            arraySum(x -> x.2 * pow(x.1 - f_unlabelled, 2), others) / sumIf(v, NOT labelled) * unlabelled / (unlabelled - 1) AS unlabelled_variance
        FROM joined GROUP BY name HAVING labels >= 2 AND unlabelled >= 2
    )
SELECT name.1 AS metric, name.2 AS unit, version_used AS evaluator_version, labels, unlabelled, f_unlabelled AS evaluator_mean, tuning,
    tuning * f_unlabelled + rectifier AS mean, sqrt(tuning * tuning * unlabelled_variance / many + rectifier_variance / n) AS standard_error,
    cut(mean - 1.959963984540054 * standard_error, on_unit) AS low, cut(mean + 1.959963984540054 * standard_error, on_unit) AS high
FROM tuned
ORDER BY metric, unit
