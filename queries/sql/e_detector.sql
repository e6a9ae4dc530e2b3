-- title: Has a score left its baseline?
-- answers: Which scores moved away from where they were before the period, in which window the evidence sufficed,
--   and since when. Valid however often it is looked at: within the period a false alarm on a score has at most
--   the probability alpha.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param of Identifier = evaluations -- evaluations, or usage for error_rate, latency, ttft (logarithms of ms), cost, input_tokens, output_tokens
-- param metric String = '' -- evaluation name, empty for all
-- param unit String = '' -- span, trace or conversation; empty for all, each by itself
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
-- column unit -- what the scores judge: span, trace or conversation
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
    {alpha:Float64} / 5 AS spent,
    [0.25, 0.5, 1, 2] AS bets,
    -- the normal quantile of 1 - spent, by Newton's steps on erfc
    arrayFold((z, i) -> z + (erfc(z / sqrt(2)) / 2 - spent) * sqrt(2 * pi()) * exp(z * z / 2), range(30), toFloat64(0)) AS quantile,
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    since_time - toIntervalSecond(if({baseline_s:UInt32} = 0, {since_s:UInt32}, {baseline_s:UInt32})) AS baseline_time,
    scored AS
    (
        SELECT (s.name, toString(s.unit)) AS name, evaluator_version, span_time, created_at, sample_weight AS w, span_time >= since_time AS watched,
            assumeNotNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS y,
            toStartOfInterval(span_time, toIntervalSecond({window_s:UInt32})) AS window,
            if({same_hour:UInt8} = 1, toHour(span_time), 0) AS hour
        FROM {of:Identifier} AS s
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND ({metric:String} = '' OR s.name = {metric:String}) AND ({unit:String} = '' OR s.unit = {unit:String})
            AND span_time >= baseline_time AND span_time < until_time
            AND experiment_id = '' AND source != 'human' AND sample_weight > 0
            AND (score IS NOT NULL OR passed != 'unknown')
    ),
    gathered AS
    (
        SELECT *, argMax(evaluator_version, last) OVER (PARTITION BY name) AS newest
        FROM
        (
            SELECT name, evaluator_version, watched, window, (max(span_time), max(created_at)) AS last, groupArray(y) AS ys, groupArray(w) AS ws, groupArray(hour) AS hs
            FROM scored GROUP BY name, evaluator_version, watched, window
        )
    ),
    hourly AS
    (
        SELECT *, sumMapIf(hs, ws, arrayMap((y, w) -> y * w, ys, ws), NOT watched) OVER (PARTITION BY name) AS hours
        FROM gathered WHERE evaluator_version = newest
    ),
    levelled AS
    (
        SELECT name, evaluator_version, watched, window,
            arrayFilter((w, h) -> has(hours.1, h), ws, hs) AS ws,
            if({same_hour:UInt8} = 0, ys, arrayMap((y, h) -> y - hours.3[indexOf(hours.1, h)] / hours.2[indexOf(hours.1, h)] + arraySum(hours.3) / arraySum(hours.2),
                arrayFilter((y, h) -> has(hours.1, h), ys, hs), arrayFilter(h -> has(hours.1, h), hs))) AS vs
        FROM hourly WHERE notEmpty(hours.1)
    ),
    averaged AS
    (
        SELECT *, length(vs) AS n, arraySum(ws) AS total, arraySum(w -> w * w, ws) AS squared_weights,
            if(arrayMin(vs) = arrayMax(vs), arrayMin(vs), arraySum((v, w) -> v * w, vs, ws) / total) AS mean
        FROM levelled WHERE length(vs) >= {min_n:UInt32}
    ),
    spread AS
    (
        SELECT *, pow(total, 2) / squared_weights AS effective_n,
            if(n < 2, 0, sqrt(arraySum((v, w) -> pow(w * (v - mean), 2), vs, ws) * n / (n - 1)) / total) AS own_error,
            arraySum((v, w) -> w * pow(v - mean, 2), vs, ws) AS squares,
            if(minIf(mean, NOT watched) OVER same = maxIf(mean, NOT watched) OVER same, minIf(mean, NOT watched) OVER same,
                sumIf(total * mean, NOT watched) OVER same / sumIf(total, NOT watched) OVER same) AS baseline_mean,
            sumIf(n, NOT watched) OVER same AS baseline_n, countIf(NOT watched) OVER same AS k
        FROM averaged
        WINDOW same AS (PARTITION BY name)
    ),
    baselined AS
    (
        SELECT *,
            sumIf(squares + total * pow(mean - baseline_mean, 2), NOT watched) OVER same / sumIf(total, NOT watched) OVER same
                * baseline_n / greatest(baseline_n - 1, 1) AS variance,
            if(k < 2, 0, greatest(0, varSampStableIf(mean, NOT watched) OVER same - avgIf(pow(own_error, 2), NOT watched) OVER same)) AS between,
            sumIf(squared_weights, NOT watched) OVER same / pow(sumIf(total, NOT watched) OVER same, 2) AS one_over_n
        FROM spread
        WINDOW same AS (PARTITION BY name)
    ),
    compared AS
    (
        SELECT name, any(evaluator_version) AS version_used, any(baseline_n) AS base_n, any(baseline_mean) AS base_mean,
            any(baseline_mean - quantile * sqrt(variance * one_over_n + between / k)) AS floor,
            any(baseline_mean + quantile * sqrt(variance * one_over_n + between / k)) AS ceiling,
            arraySort(groupArray((window, n, effective_n, mean, sqrt(greatest(pow(own_error, 2), variance / effective_n) + between)))) AS s
        FROM baselined WHERE watched AND k > 0 GROUP BY name
    ),
    -- a window without any spread borrows the largest standard error before it
    erring AS (SELECT *, arrayMap(i -> if(s[i].5 > 0, s[i].5, arrayMax(arraySlice(s.5, 1, i))), arrayEnumerate(s)) AS errors FROM compared),
    standardised AS
    (
        SELECT *, arrayMap((x, e) -> if(e > 0, (floor - x) / e, if(x < floor, 1e100, if(x > floor, -1e100, 0))), s.4, errors) AS below,
            arrayMap((x, e) -> if(e > 0, (x - ceiling) / e, if(x > ceiling, 1e100, if(x < ceiling, -1e100, 0))), s.4, errors) AS above
        FROM erring
    ),
    betted AS
    (
        SELECT *, arrayMap(zs -> arrayMap(m -> arrayAvg(m), arrayPopFront(arrayFold(
                (m, z) -> arrayPushBack(m, arrayMap((l, before) -> least(1e100, (1 + before) * least(1e100, exp(least(500, l * z - l * l / 2)))), bets, m[-1])),
                zs, [[toFloat64(0), 0, 0, 0]]))), [below, above]) AS evidence
        FROM standardised
    ),
    summed AS
    (
        SELECT *, arrayMap((d, u) -> multiIf({direction:String} = 'decrease', d, {direction:String} = 'increase', u, (d + u) / 2), evidence[1], evidence[2]) AS statistics
        FROM betted
    ),
    watched_series AS (SELECT *, arrayFirstIndex(m -> m >= {horizon:UInt32} / ({alpha:Float64} - spent), statistics) AS first_alarm FROM summed),
    sided AS (SELECT *, if(evidence[1][first_alarm] >= evidence[2][first_alarm], 'decrease', 'increase') AS side FROM watched_series),
    -- the change is where the patient bet's sum of log payoffs was lowest before the alarm
    dated AS (SELECT *, arrayPushFront(arrayPopBack(arrayCumSum(z -> z / 2 - 0.125, arraySlice(if(side = 'decrease', below, above), 1, first_alarm))), 0) AS sums FROM sided)
SELECT name.1 AS metric, name.2 AS unit, version_used AS evaluator_version, s[position].1 AS window_start, s[position].2 AS n, s[position].3 AS effective_n,
    s[position].4 AS mean, s[position].5 AS standard_error, base_n AS baseline_n, base_mean AS baseline_mean, floor AS baseline_low, ceiling AS baseline_high,
    position, evidence[1][position] AS decrease, evidence[2][position] AS increase, statistics[position] AS statistic,
    {horizon:UInt32} / ({alpha:Float64} - spent) AS threshold,
    if(first_alarm > 0 AND position >= first_alarm, side, '') AS alarm,
    if(first_alarm > 0 AND position >= first_alarm, s[indexOf(sums, arrayMin(sums))].1, NULL) AS since
FROM dated ARRAY JOIN arrayEnumerate(s) AS position
ORDER BY metric, unit, window_start
