-- title: Judge calls saved by spending them where they tell most
-- answers: For every online rule and evaluator: how many calls were judged, how sure the mean is, and how many calls a
--   uniform sample would have needed for the same interval.
-- param project String = 'default' -- project, '*' for all
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param rule String = '' -- rule name, empty for all
-- param since_s UInt32 = 604800 -- period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- column rule -- name in [evaluation]
-- column metric -- evaluator
-- column evaluator_version -- its version
-- column calls -- scored calls
-- column stands_for -- calls that they stand for, by weight
-- column strata -- strata that were told apart
-- column mean -- regression-assisted mean: stratum means, weighted by the size of the strata
-- column half_width -- half of its 95 % interval
-- column uniform_calls -- calls that a uniform sample needs for the same interval
-- column calls_saved -- the difference; negative where the allocation cost more than it told
-- column share_of_uniform -- calls / uniform_calls
-- column judge_cost_usd -- what the scored calls cost
-- method: post-stratified (regression-assisted) mean under Poisson sampling with known probabilities, variances shrunk
--   towards the pooled one with the weight of 20 scores; the uniform sample size for its interval with finite population
--   correction.
-- source: Neyman (1934); Sarndal, Swensson and Wretman, Model Assisted Survey Sampling (1992), sections 3.5, 7.6.
WITH
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    scored AS
    (
        SELECT metadata['rule'] AS rule, name AS metric, evaluator_version, metadata['stratum'] AS stratum, assumeNotNull(score) AS value,
            1 / greatest(toFloat64OrZero(metadata['probability']), 1e-9) AS weight, ifNull(judge_cost_usd, 0) AS cost
        FROM evaluations
        WHERE ({project:String} = '*' OR project = {project:String}) AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND metadata['rule'] != '' AND ({rule:String} = '' OR metadata['rule'] = {rule:String})
            AND metadata['stream'] != 'targeted' AND score IS NOT NULL AND experiment_id = '' AND toFloat64OrZero(metadata['probability']) > 0
            AND span_time >= until_time - toIntervalSecond({since_s:UInt32}) AND span_time < until_time
    ),
    per_stratum AS
    (
        SELECT rule, metric, evaluator_version, stratum, count() AS n, sum(weight) AS size, sum(weight * value) / size AS average,
            greatest(0, sum(weight * value * value) / size - average * average) * n AS squared,
            sum(weight * (weight - 1)) AS sampling, sum(cost) AS spent
        FROM scored GROUP BY rule, metric, evaluator_version, stratum
    ),
    shrunk AS
    (
        SELECT *, (squared + 20 * sum(squared) OVER whole / greatest(1, sum(n - 1) OVER whole)) / (n + 19) AS spread
        FROM per_stratum WINDOW whole AS (PARTITION BY rule, metric, evaluator_version)
    ),
    per_rule AS
    (
        SELECT rule, metric, evaluator_version, sum(n) AS calls, sum(size) AS stands_for, count() AS strata, sum(size * average) / stands_for AS mean,
            sqrt(sum(spread * sampling)) / stands_for AS error,
            greatest(0, sum(size * (spread + average * average)) / stands_for - mean * mean) AS total_variance, sum(spent) AS judge_cost_usd
        FROM shrunk GROUP BY rule, metric, evaluator_version
    )
SELECT rule, metric, evaluator_version, calls, stands_for, strata, mean, 1.959963984540054 * error AS half_width,
    if(error > 0 AND total_variance > 0, 1 / (error * error / total_variance + 1 / stands_for), calls) AS uniform_calls,
    uniform_calls - calls AS calls_saved, if(uniform_calls > 0, calls / uniform_calls, 1) AS share_of_uniform, judge_cost_usd
FROM per_rule
ORDER BY rule, metric, evaluator_version
