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
-- method: PPI++ with weights: means weighted by 1 / probability, linearised variances; calls of one conversation, else of
--   one trace, are a cluster, labelled and unlabelled ones together; several labels of one call are averaged.
-- source: Angelopoulos, Duchi, Zrnic (2023); evaluators/statistics/estimates.py is its oracle where weights are equal.
WITH
    -- means of scores between 0 and 1 lie there, too
    ((x, on_unit) -> if(on_unit, greatest(0, least(1, x)), x)) AS cut,
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    judged AS
    (
        SELECT (s.name, toString(s.unit)) AS name, evaluator_version, source, if(s.unit = 'conversation', s.conversation_id, s.trace_id) AS trace_id, span_id, sipHash64(if(s.conversation_id != '', s.conversation_id, s.trace_id)) AS cluster, span_time, created_at, sample_weight,
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
        SELECT name, evaluator_version, trace_id, span_id, any(y) AS f, any(sample_weight) AS w, any(cluster) AS cluster FROM judged
        WHERE source IN ('code', 'llm_judge') AND (name, evaluator_version) IN (SELECT name, evaluator_version FROM newest)
        GROUP BY name, evaluator_version, trace_id, span_id
    ),
    joined AS
    (
        SELECT name, evaluator_version, cluster, f, label, label_weight > 0 AS labelled, if(labelled, label_weight, w) AS v
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
            uniqIf(cluster, labelled) AS label_clusters, uniqIf(cluster, NOT labelled) AS other_clusters,
            -- what each call moves the mean by; of one conversation it is summed before it is squared
            sqrt(label_clusters / (label_clusters - 1)) / sumIf(v, labelled) AS label_share, sqrt(other_clusters / (other_clusters - 1)) / sumIf(v, NOT labelled) AS other_share,
            sumMapIf([cluster], [toFloat64(v * label)], [toFloat64(v * f)], [toFloat64(v)], labelled) AS labelled_by, sumMapIf([cluster], [toFloat64(v * f)], [toFloat64(v)], NOT labelled) AS others_by,
            arrayMap((said, judged, weight) -> label_share * (said - tuning * judged - rectifier * weight), labelled_by.2, labelled_by.3, labelled_by.4) AS label_moves,
            arrayMap((judged, weight) -> tuning * other_share * (judged - f_unlabelled * weight), others_by.2, others_by.3) AS other_moves,
            arraySum(x -> x * x, arrayReduce('sumMap', [labelled_by.1, others_by.1], [label_moves, other_moves]).2) AS variance
        FROM joined GROUP BY name HAVING labels >= 2 AND unlabelled >= 2
    )
SELECT name.1 AS metric, name.2 AS unit, version_used AS evaluator_version, labels, unlabelled, f_unlabelled AS evaluator_mean, tuning,
    tuning * f_unlabelled + rectifier AS mean, sqrt(variance) AS standard_error,
    cut(mean - 1.959963984540054 * standard_error, on_unit) AS low, cut(mean + 1.959963984540054 * standard_error, on_unit) AS high
FROM tuned
ORDER BY metric, unit
