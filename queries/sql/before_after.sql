-- title: Scores before and after a change
-- answers: How every score differs between two prompt versions, prompt fingerprints, models or other values of a
--   dimension; whether that is a regression, and how large a difference these numbers could have shown.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param of Identifier = evaluations -- evaluations, or usage for error_rate, latency, ttft (logarithms of ms), cost, input_tokens, output_tokens
-- param metric String = '' -- evaluation name, empty for all
-- param unit String = '' -- span, trace or conversation; empty for all, each by itself
-- param by String = system_hash -- service, environment, request_model, prompt_name, prompt_version, system_hash or segment
-- param after String = '' -- the value that is new
-- param before String = '' -- the value it replaced, empty for all others
-- param since_s UInt32 = 1209600 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param alpha Float64 = 0.05 -- error probability of each claim, and of the interval
-- param margin Float64 = 0.3 -- the smallest drop that matters, in the unit of the score
-- column metric -- evaluation name
-- column unit -- what the scores judge: span, trace or conversation
-- column evaluator_version -- the newest version; scores of other versions are left out
-- column n_before -- scores before; those of one conversation count as one
-- column n_after -- scores after, likewise
-- column effective_n_before -- what they are worth (Kish)
-- column effective_n_after -- what they are worth (Kish)
-- column mean_before -- weighted mean
-- column mean_after -- weighted mean
-- column difference -- after minus before
-- column standard_error -- of the difference
-- column low -- lower end of the interval of the difference
-- column high -- upper end
-- column t -- Welch's t
-- column df -- its degrees of freedom
-- column p -- two-sided, Welch
-- column rank_p -- two-sided, Mann-Whitney with continuity correction, unweighted: for scores that are ranks rather than measures
-- column superiority -- probability that a score after is higher than one before, ties counted half, weighted
-- column minimum_detectable_effect -- difference that these sizes find in four of five cases, normal approximation
-- column conclusion -- regression, improvement, trivial, no_change or inconclusive, as detect_regression has it
-- column recommendation -- block_deployment, proceed or collect_more_data
-- method: Welch's test on weighted means with Kish's effective sizes; claims tested one-sided against the margin.
-- source: Welch (1947); Schuirmann (1987); evaluators/statistics/regression.py is its oracle.
WITH
    -- means of scores between 0 and 1 differ by 1 at most
    ((x, on_unit) -> if(on_unit, greatest(-1, least(1, x)), x)) AS cut,
    -- P(T > x) of Student's t with nu degrees of freedom, by Simpson's rule on tan(angle) = x / sqrt(nu)
    ((x, nu) -> atan(abs(x) / sqrt(nu))) AS angle,
    ((x, nu) -> if(nu < 400, pi() / 2, atan((abs(x) + 12) / sqrt(nu)))) AS last,
    ((x, nu) -> exp(lgamma((nu + 1) / 2) - lgamma(nu / 2)) / sqrt(pi()) * (last(x, nu) - angle(x, nu)) / 3000
        * arraySum(i -> multiIf(i IN (0, 1000), 1, i % 2 = 1, 4, 2)
            * exp((nu - 1) * log(greatest(1e-300, cos(angle(x, nu) + (last(x, nu) - angle(x, nu)) * i / 1000)))), range(1001))) AS far,
    ((x, nu) -> if(x > 0, far(x, nu), 1 - far(x, nu))) AS tail,
    ((x, nu) -> exp(lgamma((nu + 1) / 2) - lgamma(nu / 2) - (nu + 1) / 2 * log1p(x * x / nu)) / sqrt(nu * pi())) AS density,
    ((z, tail_p) -> z + (erfc(z / sqrt(2)) / 2 - tail_p) * sqrt(2 * pi()) * exp(z * z / 2)) AS newton,
    (tail_p -> arrayFold((z, i) -> newton(z, tail_p), range(40), toFloat64(0))) AS normal_quantile,
    ((tail_p, nu) -> arrayFold((x, i) -> x + (tail(x, nu) - tail_p) / density(x, nu), range(8), normal_quantile(tail_p))) AS student_quantile,
    ((distance, error, nu, arrangement) -> if(error = 0, if(distance > 0, arrangement, 1), tail(distance / error, nu))) AS beyond,
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    judged AS
    (
        SELECT (s.name, toString(s.unit)) AS name, conversation_id AS conversation, evaluator_version, span_time, created_at, sample_weight AS w,
            assumeNotNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS y,
            -- include score_group
            AS value
        FROM {of:Identifier} AS s
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND ({metric:String} = '' OR s.name = {metric:String}) AND ({unit:String} = '' OR s.unit = {unit:String})
            AND span_time >= until_time - toIntervalSecond({since_s:UInt32}) AND span_time < until_time
            AND experiment_id = '' AND source != 'human' AND sample_weight > 0
            AND (score IS NOT NULL OR passed != 'unknown')
    ),
    -- scores of one conversation move together: their weighted mean counts once, with all their weight
    scored AS
    (
        SELECT name, evaluator_version, value, span_time, created_at, y, w FROM judged WHERE conversation = ''
        UNION ALL
        SELECT name, evaluator_version, value, max(j.span_time) AS span_time, max(j.created_at) AS created_at, sum(j.w * j.y) / sum(j.w) AS y, sum(j.w) AS w
        FROM judged AS j WHERE conversation != '' GROUP BY name, evaluator_version, value, conversation
    ),
    sides AS
    (
        SELECT *, value = {after:String} AS after, after OR {before:String} = '' OR value = {before:String} AS shown FROM scored
    ),
    gathered AS
    (
        SELECT name, evaluator_version, (max(span_time), max(created_at)) AS last, countIf(shown AND after) AS n_after, countIf(shown AND NOT after) AS n_before,
            groupArrayIf((y, w), shown AND after) AS new, groupArrayIf((y, w), shown AND NOT after) AS old,
            sumMapIf([y], [if(after, w, 0)], [if(after, 0, w)], [toFloat64(after)], [toFloat64(NOT after)], shown) AS steps
        FROM sides GROUP BY name, evaluator_version
    ),
    averaged AS
    (
        SELECT *, arraySum(new.2) AS total_after, arraySum(old.2) AS total_before,
            pow(total_after, 2) / arraySum(w -> w * w, new.2) AS effective_n_after, pow(total_before, 2) / arraySum(w -> w * w, old.2) AS effective_n_before,
            if(arrayMin(new.1) = arrayMax(new.1), arrayMin(new.1), arraySum(x -> x.1 * x.2, new) / total_after) AS mean_after,
            if(arrayMin(old.1) = arrayMax(old.1), arrayMin(old.1), arraySum(x -> x.1 * x.2, old) / total_before) AS mean_before,
            arraySum((a, b, until_here) -> a * (until_here - b / 2), steps.2, steps.3, arrayCumSum(steps.3)) / (total_after * total_before) AS superiority,
            -- Mann and Whitney's U and its variance, corrected for ties
            arraySum((a, b, until_here) -> a * (until_here - b / 2), steps.4, steps.5, arrayCumSum(steps.5)) AS u,
            toFloat64(n_after) * n_before AS products, toFloat64(n_after) + n_before AS together,
            products / 12 * (together + 1 - arraySum((a, b) -> pow(a + b, 3) - a - b, steps.4, steps.5) / (together * (together - 1))) AS u_variance,
            if(u_variance <= 0, 1, least(1, erfc((abs(u - products / 2) - 0.5) / sqrt(u_variance) / sqrt(2)))) AS rank_p
        FROM (SELECT *, argMax(evaluator_version, last) OVER (PARTITION BY name) AS newest FROM gathered)
        WHERE evaluator_version = newest AND n_before > 0 AND n_after > 0
    ),
    spread_out AS
    (
        SELECT *, least(arrayMin(new.1), arrayMin(old.1)) >= 0 AND greatest(arrayMax(new.1), arrayMax(old.1)) <= 1 AS on_unit, arraySum(x -> pow(x.2 * (x.1 - mean_after), 2), new) * n_after / greatest(n_after - 1, 1) / pow(total_after, 2) AS after_error,
            arraySum(x -> pow(x.2 * (x.1 - mean_before), 2), old) * n_before / greatest(n_before - 1, 1) / pow(total_before, 2) AS before_error,
            arraySum(x -> x.2 * pow(x.1 - mean_after, 2), new) / total_after * n_after / greatest(n_after - 1, 1) AS after_variance,
            arraySum(x -> x.2 * pow(x.1 - mean_before, 2), old) / total_before * n_before / greatest(n_before - 1, 1) AS before_variance
        FROM averaged
    ),
    compared AS
    (
        SELECT name.1 AS metric, name.2 AS unit, evaluator_version, n_before, n_after, effective_n_before, effective_n_after, mean_before, mean_after, rank_p, superiority, on_unit,
            mean_after - mean_before AS difference, sqrt(after_error + before_error) AS standard_error,
            if(standard_error = 0, toFloat64(n_before + n_after - 2), pow(after_error + before_error, 2)
                / (pow(after_error, 2) / greatest(effective_n_after - 1, 1) + pow(before_error, 2) / greatest(effective_n_before - 1, 1))) AS df,
            sqrt((after_variance + before_variance) / 2) AS spread,
            -- two constants: one arrangement of all the scores is as extreme
            exp(lgamma(n_before + 1) + lgamma(n_after + 1) - lgamma(n_before + n_after + 1)) AS arrangement
        FROM spread_out
    ),
    tested AS
    (
        SELECT *, least(n_before, n_after) >= 10 AS enough, {alpha:Float64} AS level, {margin:Float64} AS margin,
            student_quantile(level / 2, df) * standard_error AS half,
            if(difference = 0, 1, least(1, 2 * beyond(abs(difference), standard_error, df, arrangement))) AS p,
            enough AND beyond(-margin - difference, standard_error, df, arrangement) < level AS worse,
            enough AND beyond(difference + margin, standard_error, df, arrangement) < level AS harmless,
            enough AND beyond(difference - margin, standard_error, df, arrangement) < level AS much_better,
            enough AND beyond(margin - difference, standard_error, df, arrangement) < level AS not_much_better,
            multiIf(worse, 'regression', much_better OR (p < level AND difference > 0 AND harmless AND NOT not_much_better), 'improvement',
                harmless AND p < level, 'trivial', harmless, 'no_change', 'inconclusive') AS conclusion
        FROM compared
    )
SELECT metric, unit, evaluator_version, n_before, n_after, effective_n_before, effective_n_after, mean_before, mean_after,
    difference, standard_error, cut(difference - half, on_unit) AS low, cut(difference + half, on_unit) AS high,
    if(standard_error = 0, NULL, difference / standard_error) AS t, df, p, rank_p, superiority,
    (normal_quantile(level / 2) + normal_quantile(0.2)) * spread * sqrt(1 / effective_n_before + 1 / effective_n_after) AS minimum_detectable_effect,
    conclusion,
    multiIf(worse, 'block_deployment', conclusion = 'inconclusive', 'collect_more_data', 'proceed') AS recommendation
FROM tested
ORDER BY metric, unit
