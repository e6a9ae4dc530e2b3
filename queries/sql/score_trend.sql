-- title: Scores over time
-- answers: Every score per window: weighted mean with interval, pass rate with interval, the lowest tenth, and how
--   much was not evaluated; optionally split by a dimension. Versions of an evaluator are never mixed.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param of Identifier = evaluations -- evaluations, or usage for error_rate, latency, ttft (logarithms of ms), cost, input_tokens, output_tokens
-- param metric String = '' -- evaluation name, empty for all
-- param unit String = '' -- span, trace or conversation; empty for all, each by itself
-- param by String = '' -- empty for no split, or service, environment, request_model, prompt_name, prompt_version, system_hash or segment
-- param since_s UInt32 = 604800 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param window_s UInt32 = 86400 -- length of a window in seconds
-- param source String = '' -- code, llm_judge, human, user_feedback or sdk; empty for all but human
-- column metric -- evaluation name
-- column unit -- what the scores judge: span, trace or conversation
-- column evaluator_version -- the evaluator's version
-- column value -- the dimension's value, empty without a split
-- column window_start -- start of the window
-- column n -- scores
-- column effective_n -- how many equally weighted scores they are worth (Kish); those of one conversation count as one
-- column mean -- weighted mean score, 1 and 0 for a passed and a failed one without a score
-- column standard_error -- of the mean as a measure of the application: it would differ on other traffic of the same kind
-- column low -- lower end of the 95 % interval of the mean
-- column high -- upper end
-- column sampling_error -- of the mean as a record of this window: 0 if every call was kept and evaluated (Hajek)
-- column p10 -- weighted 10 % quantile
-- column pass_n -- scores with a verdict
-- column pass_rate -- weighted share of passed among them
-- column pass_low -- lower end of its 95 % Wilson interval, on the effective n
-- column pass_high -- upper end
-- column evaluations -- evaluations, also those without a score
-- column share_unscored -- weighted share of the evaluations that have no score
-- column unscored_reason -- the most frequent reason
-- method: weights are 1 / probability of having been kept and evaluated; standard errors with factor n / (n - 1), those of
--   one conversation as one cluster.
-- source: Sarndal et al. (1992); Wilson (1927); evaluators/statistics/estimates.py is its oracle.
WITH
    1.959963984540054 AS z,
    pow(z, 2) AS zz,
    -- means of scores between 0 and 1 lie there, too
    ((x, on_unit) -> if(on_unit, greatest(0, least(1, x)), x)) AS cut,
    -- Of numbers with their conversations (0 for none): the sum of the squares of each conversation's sum, and how many there are.
    ((xs, cs) -> arraySum(x -> x * x, arrayFilter((x, c) -> c = 0, xs, cs)) + if(arrayMax(cs) = 0, 0, arraySum(x -> x * x,
        arrayReduce('sumMap', arrayMap(c -> [c], arrayFilter(c -> c != 0, cs)), arrayMap(x -> [x], arrayFilter((x, c) -> c != 0, xs, cs))).2))) AS squared_sums,
    (cs -> toFloat64(countEqual(cs, 0)) + arrayUniq(arrayFilter(c -> c != 0, cs))) AS cluster_count,
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    judged AS
    (
        SELECT (s.name, toString(s.unit)) AS name, evaluator_version, sample_weight AS w, passed, error,
            if(conversation_id = '', 0, sipHash64(conversation_id)) AS cluster,
            toStartOfInterval(toDateTime64(span_time, 3, 'UTC'), toIntervalSecond({window_s:UInt32}), toDateTime64('1970-01-05', 3, 'UTC')) AS window,
            score IS NOT NULL OR passed != 'unknown' AS scored,
            ifNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass'))), 0) AS y,
            if({by:String} = '', '',
                -- include score_group
            ) AS value
        FROM {of:Identifier} AS s
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND ({metric:String} = '' OR s.name = {metric:String}) AND ({unit:String} = '' OR s.unit = {unit:String})
            AND span_time >= until_time - toIntervalSecond({since_s:UInt32}) AND span_time < until_time
            AND experiment_id = '' AND sample_weight > 0
            AND if({source:String} = '', source != 'human', toString(source) = {source:String})
    ),
    windows AS
    (
        SELECT name, evaluator_version, value, window, count() AS evaluations, countIf(scored) AS n,
            groupArrayIf(y, scored) AS ys, groupArrayIf(w, scored) AS ws, groupArrayIf(cluster, scored) AS cs, sumIf(w, scored) AS total,
            pow(total, 2) / squared_sums(ws, cs) AS kish, cluster_count(cs) AS groups,
            minIf(y, scored) >= 0 AND maxIf(y, scored) <= 1 AS on_unit, if(minIf(y, scored) = maxIf(y, scored), minIf(y, scored), sumIf(w * y, scored) / total) AS average,
            squared_sums(arrayMap((a, b) -> b * (a - average), ys, ws), cs) AS squares,
            arraySum((a, b) -> (1 - 1 / greatest(b, 1)) * pow(b * (a - average), 2), ys, ws) AS drawn_squares,
            countIf(passed != 'unknown') AS pass_n, sumIf(w, passed != 'unknown') AS pass_total,
            sumIf(w, passed = 'pass') / pass_total AS rate, pow(pass_total, 2) / squared_sums(groupArrayIf(w, passed != 'unknown'), groupArrayIf(cluster, passed != 'unknown')) AS pass_kish,
            sumIf(w, NOT scored) / sum(w) AS share_unscored,
            arraySort(pair -> pair.1, arrayZip(ys, ws)) AS ordered,
            topKIf(1)(error, NOT scored) AS reasons
        FROM judged GROUP BY name, evaluator_version, value, window
    )
SELECT name.1 AS metric, name.2 AS unit, evaluator_version, value, window AS window_start, n, if(n = 0, 0, kish) AS effective_n,
    if(n = 0, NULL, average) AS mean,
    if(groups < 2, NULL, sqrt(squares * groups / (groups - 1)) / total) AS standard_error,
    cut(mean - z * standard_error, on_unit) AS low, cut(mean + z * standard_error, on_unit) AS high,
    if(n = 0 OR (n = 1 AND total > 1), NULL, sqrt(drawn_squares) / total) AS sampling_error,
    if(n = 0, NULL, ordered[arrayFirstIndex(x -> x >= 0.1 * total * (1 - 1e-12), arrayCumSum(pair -> pair.2, ordered))].1) AS p10,
    pass_n, if(pass_n = 0, NULL, rate) AS pass_rate,
    if(pass_n = 0, NULL, greatest(0, (rate * pass_kish + zz / 2) / (pass_kish + zz) - z / (pass_kish + zz) * sqrt(pass_kish * rate * (1 - rate) + zz / 4))) AS pass_low,
    if(pass_n = 0, NULL, least(1, (rate * pass_kish + zz / 2) / (pass_kish + zz) + z / (pass_kish + zz) * sqrt(pass_kish * rate * (1 - rate) + zz / 4))) AS pass_high,
    evaluations, share_unscored, if(empty(reasons), '', reasons[1]) AS unscored_reason
FROM windows
ORDER BY metric, unit, evaluator_version, value, window_start
