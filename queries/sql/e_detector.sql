-- title: Has a score left its baseline?
-- answers: Which scores moved away from where they were before the period, in which window the evidence sufficed,
--   and since when. Valid however often it is looked at: within the period a false alarm on a score has at most
--   the probability alpha.
-- param project String = default -- project
-- param metric String = '' -- evaluation name, empty for all
-- param since_s UInt32 = 604800 -- length of the watched period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param baseline_s UInt32 = 0 -- length of the baseline just before the period in seconds, 0 for as long as the period
-- param window_s UInt32 = 86400 -- length of a window in seconds
-- param min_n UInt32 = 10 -- windows with fewer scores are left out
-- param alpha Float64 = 0.05 -- probability of a false alarm; a fifth of it pays for the estimated baseline
-- param horizon UInt32 = 100 -- windows within which that holds
-- param direction String = both -- decrease, increase or both
-- param same_hour UInt8 = 0 -- 1 compares every score with the same hour of day in the baseline
-- column metric -- evaluation name
-- column evaluator_version -- the newest version; scores of other versions are left out, so a new version starts anew
-- column window_start -- start of the window
-- column n -- scores in the window
-- column effective_n -- how many equally weighted scores they are worth (Kish)
-- column mean -- weighted mean
-- column standard_error -- of the mean, from the larger of its own and the baseline's spread, plus the spread between windows
-- column baseline_n -- scores in the baseline
-- column baseline_mean -- weighted mean of the baseline
-- column baseline_low -- lower bound of the baseline mean that a decrease is held against
-- column baseline_high -- upper bound that an increase is held against
-- column position -- number of the window, from 1
-- column decrease -- evidence for a decrease after this window
-- column increase -- evidence for an increase after this window
-- column statistic -- what is held against the threshold: one of the two, or their mean where both directions are watched
-- column threshold -- evidence that makes an alarm
-- column alarm -- decrease or increase from the first alarming window on, else empty
-- column since -- the window since which the mean has most likely been elsewhere, once alarmed
-- method: Shiryaev-Roberts e-detector on window means with Gaussian bets 0.25, 0.5, 1 and 2 (asymptotic in the size
--   of the windows); baseline bounds at 1 - alpha / 5; spread between windows by moments.
-- source: Shin, Ramdas, Rinaldo, E-detectors (2022); evaluators/statistics/sequential.py is its oracle.
WITH
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    since_time - toIntervalSecond(if({baseline_s:UInt32} = 0, {since_s:UInt32}, {baseline_s:UInt32})) AS baseline_time,
    {alpha:Float64} / 5 AS spent,
    scored AS
    (
        SELECT name, evaluator_version, span_time, sample_weight AS w, span_time >= since_time AS watched,
            assumeNotNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS y,
            toStartOfInterval(span_time, toIntervalSecond({window_s:UInt32})) AS window,
            if({same_hour:UInt8} = 1, toHour(span_time), 0) AS hour
        FROM evaluations
        WHERE project = {project:String} AND ({metric:String} = '' OR name = {metric:String})
            AND span_time >= baseline_time AND span_time < until_time
            AND experiment_id = '' AND source != 'human' AND sample_weight > 0
            AND (score IS NOT NULL OR passed != 'unknown')
    ),
    newest AS (SELECT name, argMax(evaluator_version, span_time) AS evaluator_version FROM scored GROUP BY name),
    current AS (SELECT * FROM scored WHERE (name, evaluator_version) IN (SELECT name, evaluator_version FROM newest)),
    hours AS (SELECT name, hour, sum(w * y) / sum(w) AS hour_mean FROM current WHERE NOT watched GROUP BY name, hour),
    overall AS (SELECT name, sum(w * y) / sum(w) AS overall_mean FROM current WHERE NOT watched GROUP BY name),
    levelled AS
    (
        SELECT name, evaluator_version, watched, window, w, if({same_hour:UInt8} = 1, y - hour_mean + overall_mean, y) AS v
        FROM current INNER JOIN hours USING (name, hour) INNER JOIN overall USING (name)
    ),
    windows AS
    (
        SELECT name, any(evaluator_version) AS evaluator_version, watched, window, count() AS n,
            groupArray(v) AS vs, groupArray(w) AS ws, sum(w) AS total, pow(total, 2) / sum(w * w) AS effective_n,
            if(min(v) = max(v), min(v), sum(w * v) / total) AS mean,
            if(n < 2, 0, sqrt(arraySum((a, b) -> pow(b * (a - mean), 2), vs, ws) * n / (n - 1)) / total) AS own_error
        FROM levelled GROUP BY name, watched, window HAVING n >= {min_n:UInt32}
    ),
    baselines AS
    (
        SELECT name, sum(n) AS baseline_n, count() AS k, arrayFlatten(groupArray(vs)) AS vs, arrayFlatten(groupArray(ws)) AS ws,
            if(arrayMin(vs) = arrayMax(vs), arrayMin(vs), arraySum((a, b) -> a * b, vs, ws) / arraySum(ws)) AS baseline_mean,
            arraySum((a, b) -> b * pow(a - baseline_mean, 2), vs, ws) / arraySum(ws) * baseline_n / greatest(baseline_n - 1, 1) AS variance,
            if(k < 2, 0, greatest(0, varSamp(mean) - avg(variance_of_mean))) AS between,
            sqrt(variance * arraySum(b -> b * b, ws) / pow(arraySum(ws), 2) + between / k) AS baseline_error
        FROM
        (
            SELECT name, window, n, vs, ws, mean, pow(own_error, 2) AS variance_of_mean FROM windows WHERE NOT watched
        )
        GROUP BY name
    ),
    compared AS
    (
        SELECT name, evaluator_version, window, n, effective_n, mean, baseline_n, baseline_mean, between, own_error, variance,
            sqrt(greatest(pow(own_error, 2), variance / effective_n) + between) AS standard_error,
            -- the normal quantile of 1 - spent, by Newton's steps on erfc
            arrayFold((z, i) -> z + (erfc(z / sqrt(2)) / 2 - spent) * sqrt(2 * pi()) * exp(z * z / 2), range(30), toFloat64(0)) AS quantile,
            baseline_mean - quantile * baseline_error AS baseline_low,
            baseline_mean + quantile * baseline_error AS baseline_high
        FROM windows INNER JOIN baselines USING (name) WHERE watched
    ),
    series AS
    (
        SELECT name, any(baseline_low) AS floor, any(baseline_high) AS ceiling,
            arraySort(groupArray((window, mean, standard_error))) AS s,
            -- a window without any spread borrows the largest standard error before it
            arrayMap(i -> if(s[i].3 > 0, s[i].3, arrayMax(arraySlice(s.3, 1, i))), arrayEnumerate(s)) AS errors,
            arrayMap((x, e) -> if(e > 0, (floor - x.2) / e, if(x.2 < floor, 1e100, if(x.2 > floor, -1e100, 0))), s, errors) AS below,
            arrayMap((x, e) -> if(e > 0, (x.2 - ceiling) / e, if(x.2 > ceiling, 1e100, if(x.2 < ceiling, -1e100, 0))), s, errors) AS above,
            [0.25, 0.5, 1, 2] AS bets,
            arrayMap(zs -> arrayMap(m -> arrayAvg(m), arrayPopFront(arrayFold(
                (m, z) -> arrayPushBack(m, arrayMap((l, before) -> least(1e100, (1 + before) * least(1e100, exp(least(500, l * z - l * l / 2)))), bets, m[-1])),
                zs, [[toFloat64(0), 0, 0, 0]]))), [below, above]) AS evidence,
            arrayMap((d, u) -> multiIf({direction:String} = 'decrease', d, {direction:String} = 'increase', u, (d + u) / 2), evidence[1], evidence[2]) AS statistics,
            {horizon:UInt32} / ({alpha:Float64} - spent) AS needed,
            arrayFirstIndex(m -> m >= needed, statistics) AS first_alarm,
            if(evidence[1][first_alarm] >= evidence[2][first_alarm], 'decrease', 'increase') AS side,
            -- the change is where the patient bet's sum of log payoffs was lowest before the alarm
            arrayCumSum(z -> z / 2 - 0.125, arraySlice(if(side = 'decrease', below, above), 1, first_alarm)) AS sums,
            arrayPushFront(arrayPopBack(sums), 0) AS before_each,
            indexOf(before_each, arrayMin(before_each)) AS changed
        FROM compared GROUP BY name
    )
SELECT compared.name AS metric, evaluator_version, window AS window_start, n, effective_n, mean, standard_error,
    baseline_n, baseline_mean, baseline_low, baseline_high,
    indexOf(s.1, window) AS position, evidence[1][position] AS decrease, evidence[2][position] AS increase,
    statistics[position] AS statistic, needed AS threshold,
    if(first_alarm > 0 AND position >= first_alarm, side, '') AS alarm,
    if(alarm = '', NULL, s[changed].1) AS since
FROM compared INNER JOIN series ON compared.name = series.name
ORDER BY metric, window_start
