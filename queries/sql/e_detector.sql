-- title: Has a score left its reference?
-- answers: Which scores moved away from their reference, in which window the evidence sufficed, since when and by how
--   much. Valid however often it is looked at: within `horizon` windows a false alarm on a score has at most the
--   probability alpha.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param of Identifier = evaluations -- evaluations, or usage for error_rate, latency, ttft (logarithms of ms), cost, input_tokens, output_tokens
-- param metric String = '' -- evaluation name, empty for all
-- param unit String = '' -- span, trace or conversation; empty for all, each by itself
-- param since_s UInt32 = 604800 -- length of the watched period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param baseline_s UInt32 = 2419200 -- length of the reference just before the period in seconds, 0 for as long as the period
-- param window_s UInt32 = 86400 -- length of a window in seconds
-- param min_n UInt32 = 5 -- windows with fewer scores are left out
-- param alpha Float64 = 0.05 -- probability of a false alarm
-- param horizon UInt32 = 100 -- windows within which that holds
-- param direction String = both -- decrease, increase or both
-- param same_hour UInt8 = 0 -- 1 takes the hour of day out, however short the reference is
-- param season UInt8 = 1 -- 1 takes hour of day and day of week out where a reference of at least 14 days shows them; 0 never
-- param adjust UInt8 = 1 -- 1 takes out what segment, service, model, topic, language and length of the input explain, so that a change of mix alone raises nothing; 0 watches the plain mean
-- param references UInt8 = 1 -- 1 keeps to accepted and held references (`evalspan drift accept`); 0 to the dates alone
-- column metric -- evaluation name
-- column unit -- what the scores judge: span, trace or conversation
-- column evaluator_version -- the newest version; scores of other versions are left out, so a new version starts anew
-- column window_start -- start of the window
-- column n -- scores in the window; those of one conversation count as one
-- column effective_n -- how many equally weighted scores they are worth (Kish)
-- column mean -- weighted mean, seasons and mix taken out
-- column standard_error -- of the mean: spread within windows pooled up to here, plus spread between windows and the error of the seasons
-- column baseline_n -- scores in the reference
-- column baseline_effective_n -- how many equally weighted scores they are worth (Kish); fewer than 150 raise the threshold
-- column baseline_windows -- windows in the reference
-- column baseline_mean -- weighted mean of the reference
-- column baseline_error -- its standard error
-- column baseline_low -- lower end of the 95 % interval of the reference's mean
-- column baseline_high -- upper end
-- column position -- number of the window, from 1
-- column decrease -- evidence for a decrease after this window
-- column increase -- evidence for an increase after this window
-- column statistic -- what is compared with the threshold: one of the two, or their mean where both directions are watched
-- column threshold -- evidence that makes an alarm
-- column alarm -- decrease or increase from the first alarming window on, else empty
-- column over -- 1 if the newest windows are back where the mean was; a held change that is over alarms no more
-- column since -- the window since which the mean has most likely been elsewhere, once alarmed
-- column mean_before -- mean of reference and watched windows before `since`, as of the first alarming window
-- column mean_since -- mean of the windows from `since` to the first alarming window
-- column n_since -- scores in them
-- column difference -- mean_since minus mean_before
-- column difference_low -- lower end of its 95 % interval
-- column difference_high -- upper end
-- column shift_unit -- the shift that a bet of 1 is on: the standard error of a typical window
-- column low -- lower end of the 95 % interval of the window's mean
-- column high -- upper end
-- column on_unit -- 1 if every score lies between 0 and 1: intervals are cut there
-- column skew_decrease -- third central moment of the window's mean, with half a score at the lowest value seen
-- column skew_increase -- the same with half a score at the highest value seen
-- column baseline_skew_decrease -- the same of the reference's mean
-- column baseline_skew_increase -- the same of the reference's mean
-- method: hour, day, segment, service, model, topic (`input_topic`), length and language are taken out in turn, each effect shrunk by how sure it is; Shiryaev-Roberts mixture over change points and Gaussian bets 0.25, 0.5, 1 and 2; the reference's unknown mean is
--   eliminated by comparing the windows since a change point with reference and windows before it; skewness removed by
--   Wilson and Hilferty's cube root; threshold calibrated for the horizon and for references of few scores (benchmarks/detection).
-- source: Shin, Ramdas, Rinaldo, E-detectors (2022); Wilson and Hilferty (1931); evaluators/statistics/sequential.py is its oracle.
WITH
    -- means of scores between 0 and 1 lie there, too, and differ by 1 at most
    ((x, on_unit, least_possible) -> if(on_unit, greatest(least_possible, least(1, x)), x)) AS cut,
    [0.25, 0.5, 1, 2] AS bets,
    [0.1, 0.3, 0.4, 0.2] AS stakes,
    200 AS reach,
    {horizon:UInt32} / {alpha:Float64} * exp(-greatest(0.5, 2 - 0.27 * log({horizon:UInt32})) * if({alpha:Float64} <= 0.05, 1, 0.7)) AS limit,
    -- a standardised value with skewness g as a normal score; skewness away from the watched side is left alone
    ((z, g) -> if(g < 1e-6, z, 6 / g * (if(g / 2 * z + 1 <= 0, 0, cbrt(g / 2 * z + 1)) - 1) + g / 6)) AS normal_score,
    -- what a change point pays: its precision before and after it, its difference and its third moment against the side it is on
    ((pre, post, difference, moment, size) -> arraySum((l, stake) -> stake * exp(least(500, l * size / sqrt(1 / pre + 1 / post) * normal_score(difference / sqrt(1 / pre + 1 / post), moment / pow(1 / pre + 1 / post, 1.5))
        - pow(l * size, 2) / (1 / pre + 1 / post) / 2)), bets, stakes)) AS payoff,
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    if({baseline_s:UInt32} = 0, {since_s:UInt32}, {baseline_s:UInt32}) AS reference_s,
    -- include kept_references
    -- where no input has a topic the traces' ids are not read
    (SELECT count() > 0 FROM evaluations WHERE {adjust:UInt8} = 1 AND project = {project:String} AND name = 'input_topic' AND label != '' AND span_time >= from_time AND span_time < until_time) AS any_topic,
    topics AS
    (
        SELECT trace_id, any(label) AS topic FROM evaluations
        WHERE {adjust:UInt8} = 1 AND project = {project:String} AND name = 'input_topic' AND label != '' AND span_time >= from_time AND span_time < until_time GROUP BY trace_id
    ),
    read AS
    (
        SELECT (s.name, toString(s.unit)) AS name, conversation_id AS conversation, evaluator_version, span_time, created_at, sample_weight AS w,
            assumeNotNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS y,
            reference_of(toString(s.name)) AS reference,
            toStartOfInterval(span_time, toIntervalSecond({window_s:UInt32})) AS window,
            if({same_hour:UInt8} = 1 OR {season:UInt8} = 1, toHour(span_time), 0) AS hour,
            if({season:UInt8} = 1 AND {same_hour:UInt8} = 0, toDayOfWeek(span_time), 0) AS day,
            if({adjust:UInt8} = 1, toString(segment), '') AS one_segment, if({adjust:UInt8} = 1, toString(service), '') AS one_service, if({adjust:UInt8} = 1, toString(request_model), '') AS one_model,
            if({adjust:UInt8} = 1, topics.topic, '') AS one_topic, if({adjust:UInt8} = 1, input_size, 0) AS one_size, if({adjust:UInt8} = 1, toString(input_language), '') AS one_language
        FROM {of:Identifier} AS s LEFT ANY JOIN topics ON if(any_topic, s.trace_id, toString(s.unit)) = topics.trace_id
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND ({metric:String} = '' OR s.name = {metric:String}) AND ({unit:String} = '' OR s.unit = {unit:String})
            AND span_time >= from_time AND span_time < until_time
            AND experiment_id = '' AND source != 'human' AND sample_weight > 0
            AND (score IS NOT NULL OR passed != 'unknown')
    ),
    -- include reference_and_period
    -- sums of powers: everything that follows is computed from them, the scores are read once
    gathered AS
    (
        SELECT name, evaluator_version, watched, window, one_service, max(held) AS is_held, (max(span_time), max(created_at)) AS last, min(span_time) AS first,
            [toUInt64(hour), toUInt64(day), sipHash64(one_segment), sipHash64(one_service), sipHash64(one_model), sipHash64(one_topic), toUInt64(one_size), sipHash64(one_language)] AS cells,
            -- Scores of one conversation move together: their weighted mean counts once, with all their weight.
            sumMapIf([sipHash64(conversation)], [w], [w * y], conversation != '') AS talks, talks.2 AS tw, talks.3 AS twy,
            countIf(conversation = '') + length(tw) AS n, min(y) AS lowest, max(y) AS highest, sum(w) AS w1, sum(w * y) AS w1y,
            sumIf(w * w, conversation = '') + arraySum(a -> a * a, tw) AS w2, sumIf(w * w * w, conversation = '') + arraySum(a -> a * a * a, tw) AS w3,
            sumIf(w * w * y, conversation = '') + arraySum((a, b) -> a * b, tw, twy) AS w2y, sumIf(w * w * y * y, conversation = '') + arraySum(b -> b * b, twy) AS w2yy,
            sumIf(w * w * w * y, conversation = '') + arraySum((a, b) -> a * a * b, tw, twy) AS w3y, sumIf(w * w * w * y * y, conversation = '') + arraySum((a, b) -> a * b * b, tw, twy) AS w3yy,
            sumIf(w * w * w * y * y * y, conversation = '') + arraySum(b -> b * b * b, twy) AS w3yyy
        FROM scored GROUP BY name, evaluator_version, watched, window, hour, day, one_segment, one_service, one_model, one_topic, one_size, one_language
    ),
    -- of each metric the rows of its newest version, as arrays; with `adjust` without services that the reference does not have: they are mix
    whole AS
    (
        SELECT name, evaluator_version, groupArray((watched, window, n, lowest, highest, w2, w3, w1y, w2y, w2yy, w3y, w3yy, w3yyy, is_held)) AS r,
            groupArray(NOT watched) AS base, groupArray(w1) AS weights, groupArray(w2) AS squares, groupArray(cells) AS places, groupArray(w1y) AS sums,
            sumIf(w1, NOT watched) AS all1, sumIf(w2, NOT watched) AS all2, sumIf(w1y, NOT watched) / all1 AS average, sumIf(w2y, NOT watched) AS all2y,
            greatest(0, sumIf(w2yy, NOT watched) - 2 * average * all2y + average * average * all2) / all2 AS variance,
            {same_hour:UInt8} = 1 OR dateDiff('hour', minIf(first, NOT watched), maxIf(last.1, NOT watched)) >= 13 * 24 AS long_enough
        FROM (SELECT *, argMax(evaluator_version, last) OVER (PARTITION BY name) AS newest, max(NOT watched) OVER (PARTITION BY name, evaluator_version, one_service) AS known FROM gathered)
        WHERE evaluator_version = newest AND known GROUP BY name, evaluator_version
    ),
    -- hour, day and mix in turn: the effect of a cell is its mean's distance from the reference's after the effects before
    -- it, shrunk by how sure it is, 0 where no more spread is seen than by chance; (what is left, effects, their variances)
    adjusted AS
    (
        SELECT name, evaluator_version, r, weights, arrayFold((left, step) -> arrayMap(cell -> arrayMap(told -> (
                    arrayMap((x, w, k) -> x - told.1[k] * w, left.1, weights, step.1), arrayMap((x, k) -> x + told.1[k], left.2, step.1), arrayMap((x, k) -> x + told.2[k], left.3, step.1)),
                arrayMap(excess -> arrayMap(trust -> (mapFromArrays(cell.1, arrayMap((t, y, a) -> y / a * t, trust, cell.4, cell.2)), mapFromArrays(cell.1, arrayMap((t, a, b) -> variance * b / (a * a) * t, trust, cell.2, cell.3))),
                    [arrayMap((a, b) -> if(step.2 AND length(cell.1) > 1 AND excess > variance * sqrt(2 / greatest(length(cell.1) - 1, 1)),
                        1 / (1 + variance * arraySum((a, b) -> a * a / b, cell.2, cell.3) / (a * a / b * excess * length(cell.1))), 0), cell.2, cell.3)])[1],
                    [arraySum((a, b, y) -> y * y / b, cell.2, cell.3, cell.4) / greatest(length(cell.1) - 1, 1) - variance]))[1],
                [arrayReduce('sumMapIf', arrayMap(k -> [k], step.1), arrayMap(x -> [x], weights), arrayMap(x -> [x], squares), arrayMap(x -> [x], left.1), base)])[1],
            arrayMap(i -> (arrayMap(c -> c[i], places), i > 2 OR long_enough), if({adjust:UInt8} = 1, [1, 2, 3, 4, 5, 6, 7, 8], [1, 2])),
            (arrayMap((y, w) -> y - average * w, sums, weights), arrayMap(w -> toFloat64(0), weights), arrayMap(w -> toFloat64(0), weights))) AS effects
        FROM whole WHERE all1 > 0
    ),
    windowed AS
    (
        SELECT name, evaluator_version, one.1 AS watched, one.2 AS window, max(one.14) AS held, sum(one.3) AS count, sum(w1) AS total, sum(one.6) AS squared_weights, sum(one.7) AS cubed_weights,
            min(one.4 >= 0 AND one.5 <= 1) AS unit_window, min(one.4 - e) AS low, max(one.5 - e) AS high, sum(one.8 - e * w1) AS y1, sum(one.9 - e * one.6) AS y2, sum(one.10 - 2 * e * one.9 + e * e * one.6) AS yy2,
            sum(one.11 - e * one.7) AS y3, sum(one.12 - 2 * e * one.11 + e * e * one.7) AS yy3, sum(one.13 - 3 * e * one.12 + 3 * e * e * one.11 - e * e * e * one.7) AS yyy3, sum(w1 * e_error) AS error1
        FROM adjusted ARRAY JOIN r AS one, weights AS w1, effects.2 AS e, effects.3 AS e_error
        GROUP BY name, evaluator_version, watched, window HAVING count >= {min_n:UInt32}
    ),
    meant AS
    (
        SELECT *, if(low = high, low, y1 / total) AS mean, pow(total, 2) / squared_weights AS effective_n, error1 / total AS effect_error, if(low < high, count > 1, 0) AS varies FROM windowed
    ),
    averaged AS
    (
        -- variance and third moment of a score, from those of the weighted scores
        SELECT name, evaluator_version, watched, window, held, count, total, squared_weights, cubed_weights, unit_window, low, high, mean, effective_n, effect_error,
            if(varies, greatest(0, yy2 - 2 * mean * y2 + mean * mean * squared_weights) / squared_weights * count / (count - 1), 0) AS variance,
            if(varies, (yyy3 - 3 * mean * yy3 + 3 * mean * mean * y3 - pow(mean, 3) * cubed_weights) / cubed_weights * if(count > 2, count / (count - 2), 1), 0) AS moment,
            if(count < 2, 0, greatest(effective_n - 1, 0)) AS freedom
        FROM meant
    ),
    summed_up AS
    (
        SELECT *, sumIf(total * mean, NOT watched) OVER whole AS base1, sumIf(total, NOT watched) OVER whole AS base_total, minIf(low, NOT watched) OVER whole AS lowest, maxIf(high, NOT watched) OVER whole AS highest
        FROM averaged WINDOW whole AS (PARTITION BY name)
    ),
    based AS (SELECT *, if(lowest = highest, lowest, base1 / base_total) AS base FROM summed_up),
    -- each metric's reference and its watched windows in order
    referred AS
    (
        SELECT name, max(held) AS held, any(evaluator_version) AS version_used, any(base) AS base_mean, countIf(NOT watched) AS k, sumIf(count, NOT watched) AS base_n,
            min(unit_window) AS on_unit, minIf(low, NOT watched) AS base_low, maxIf(high, NOT watched) AS base_high,
            sumIf(effective_n, NOT watched) AS worth, sumIf(pow(effective_n, 2), NOT watched) AS squared_worth,
            sumIf(effective_n * pow(mean - base, 2), NOT watched) AS between_squares, sumIf(freedom, NOT watched) AS own_freedom, sumIf(freedom * variance, NOT watched) AS own_squares,
            sumIf(freedom * moment, NOT watched) AS base_cubes,
            sumIf(squared_weights, NOT watched) AS base2, sumIf(total, NOT watched) AS base1, sumIf(pow(total, 2), NOT watched) AS base_totals2, sumIf(cubed_weights, NOT watched) AS base3,
            quantileExactIf(0.5)(effective_n, NOT watched) AS usual_n,
            arraySort(groupArrayIf((window, count, effective_n, mean, freedom, variance, moment, cubed_weights / pow(total, 3), low, high, effect_error), watched)) AS s
        FROM based GROUP BY name HAVING if(k >= 2, notEmpty(s), 0)
    ),
    freed AS
    (
        -- windows of one score each have no spread of their own: that between them is all there is
        SELECT *, if(own_freedom > 0, own_squares, between_squares) AS base_squares, if(own_freedom > 0, own_freedom, toFloat64(k - 1)) AS base_freedom,
            between_squares / (k - 1) AS between_windows, (worth - squared_worth / worth) / (k - 1) AS typical,
            base2 / pow(base1, 2) AS base_share, base_totals2 / pow(base1, 2) AS base_between, base3 / pow(base1, 3) AS base_cube_share
        FROM referred
    ),
    compared AS
    (
        SELECT *, multiIf(own_freedom = 0, toFloat64(0), between_windows > base_squares / base_freedom * (1 + 1.5 * sqrt(2 / (k - 1))), (between_windows - base_squares / base_freedom) / typical, toFloat64(0)) AS excess,
            ifNull(excess, toFloat64(0)) AS shared, if(base_squares > 0, 0.5, 1) AS pseudo, arrayMap(i -> if(base_squares > 0, i, length(s)), arrayEnumerate(s)) AS seen
        FROM freed
    ),
    -- the spread of a score as of each window: reference and windows so far, with half a score at the farthest value seen (a whole one where the reference has no spread)
    ranged AS
    (
        SELECT *, arrayMap(i -> base_mean - least(base_low, arrayMin(arraySlice(s.9, 1, i))), seen) AS fall, arrayMap(i -> greatest(base_high, arrayMax(arraySlice(s.10, 1, i))) - base_mean, seen) AS rise,
            arrayMap(f -> f + base_freedom + pseudo, arrayCumSum(s.5)) AS freedoms, arrayCumSum(arrayMap((f, v) -> f * v, s.5, s.6)) AS squares, arrayCumSum(arrayMap((f, m) -> f * m, s.5, s.7)) AS cubes
        FROM compared
    ),
    varied AS
    (
        SELECT *, arrayMap((q, f, d, u) -> greatest((base_squares + q + pseudo * pow(greatest(d, u), 2)) / f, pow(1e-9 * greatest(1, abs(base_mean)), 2)), squares, freedoms, fall, rise) AS variances,
            arrayMap((c, f, d, q) -> (base_cubes + c - pseudo * pow(d, 3)) / f * q, cubes, freedoms, fall, s.8) AS skew_down,
            arrayMap((c, f, u, q) -> (base_cubes + c + pseudo * pow(u, 3)) / f * q, cubes, freedoms, rise, s.8) AS skew_up
        FROM ranged
    ),
    erring AS
    (
        SELECT *, arrayMap((v, n, e) -> sqrt(v / n + shared + e), variances, s.3, s.11) AS errors,
            sqrt(variances[1] * base_share + shared * base_between) AS base_error, skew_down[1] / s[1].8 * base_cube_share AS base_skew_down, skew_up[1] / s[1].8 * base_cube_share AS base_skew_up,
            sqrt(variances[1] / usual_n + shared) AS size
        FROM varied
    ),
    precise AS (SELECT *, arrayMap(e -> 1 / pow(e, 2), errors) AS p, 1 / pow(base_error, 2) AS base_p FROM erring),
    spread AS
    (
        SELECT *, arrayPushFront(arrayCumSum(p), 0) AS ps, arrayPushFront(arrayCumSum(arrayMap((a, m) -> a * m, p, s.4)), 0) AS pm,
            arrayPushFront(arrayCumSum(arrayMap((a, c) -> pow(a, 3) * c, p, skew_down)), 0) AS cubes_down, arrayPushFront(arrayCumSum(arrayMap((a, c) -> pow(a, 3) * c, p, skew_up)), 0) AS cubes_up
        FROM precise
    ),
    paid AS
    (
        SELECT *, arrayMap(side -> arrayMap(t -> arrayMap(j -> payoff(base_p + ps[j], ps[t + 1] - ps[j],
                side.1 * ((base_p * base_mean + pm[j]) / (base_p + ps[j]) - (pm[t + 1] - pm[j]) / (ps[t + 1] - ps[j])),
                side.1 * ((pow(base_p, 3) * side.2 + side.3[j]) / pow(base_p + ps[j], 3) - (side.3[t + 1] - side.3[j]) / pow(ps[t + 1] - ps[j], 3)), size),
            range(greatest(1, toInt64(t) - reach + 1), toInt64(t) + 1)), arrayEnumerate(s)),
            [(1, base_skew_down, cubes_down), (-1, base_skew_up, cubes_up)]) AS payoffs
        FROM spread
    ),
    evident AS
    (
        SELECT *, arrayMap(row -> least(1e100, arraySum(row)), payoffs[1]) AS falls, arrayMap(row -> least(1e100, arraySum(row)), payoffs[2]) AS rises FROM paid
    ),
    compounded AS
    (
        SELECT *, arrayMap((d, u) -> multiIf({direction:String} = 'decrease', d, {direction:String} = 'increase', u, (d + u) / 2), falls, rises) AS statistics FROM evident
    ),
    alarmed AS (SELECT * EXCEPT payoffs, limit * exp(greatest(0, 1.5 - worth / 100)) AS own_limit, toInt64(arrayFirstIndex(m -> m >= own_limit, statistics)) AS first_alarm FROM compounded),
    sided AS (SELECT *, if(falls[first_alarm] >= rises[first_alarm], 1, -1) AS side, ps[first_alarm + 1] AS p_here, pm[first_alarm + 1] AS m_here FROM alarmed),
    -- the change is where the windows since then differ most from those before, in standard errors
    measured AS
    (
        SELECT *, arrayMap(j -> side * ((base_p * base_mean + pm[j]) / (base_p + ps[j]) - (m_here - pm[j]) / (p_here - ps[j])) / sqrt(1 / (base_p + ps[j]) + 1 / (p_here - ps[j])), range(1, first_alarm + 1)) AS distances
        FROM sided
    ),
    dated AS (SELECT *, if(first_alarm > 0, toInt64(indexOf(distances, arrayMax(distances))), 0) AS change, least(8, toInt64(length(s)) - first_alarm) AS newest, toInt64(length(s)) + 1 AS l FROM measured),
    levels AS
    (
        SELECT *, (base_p * base_mean + pm[change]) / (base_p + ps[change]) AS before, (m_here - pm[change]) / (p_here - ps[change]) AS after,
            sqrt(1 / (base_p + ps[change]) + 1 / (p_here - ps[change])) AS change_error,
            side * (before - (pm[l] - pm[l - newest]) / (ps[l] - ps[l - newest])) AS distance_now, sqrt(1 / (base_p + ps[change]) + 1 / (ps[l] - ps[l - newest])) AS error_now
        FROM dated
    ),
    summed AS
    (
        -- it is over when the newest windows, eight at most and four at least, are back where the mean was
        SELECT *, multiIf(change = 0, 0, newest < 4, 0, distance_now < least(1.64 * error_now, abs(after - before) / 2)) AS over,
            multiIf(first_alarm = 0, '', held * over > 0, '', side = 1, 'decrease', 'increase') AS found
        FROM levels
    )
SELECT name.1 AS metric, name.2 AS unit, version_used AS evaluator_version, s[position].1 AS window_start, s[position].2 AS n, s[position].3 AS effective_n,
    s[position].4 AS mean, errors[position] AS standard_error, base_n AS baseline_n, worth AS baseline_effective_n, k AS baseline_windows, base_mean AS baseline_mean, base_error AS baseline_error,
    cut(base_mean - 1.959963984540054 * base_error, on_unit, 0) AS baseline_low, cut(base_mean + 1.959963984540054 * base_error, on_unit, 0) AS baseline_high,
    position, falls[position] AS decrease, rises[position] AS increase, statistics[position] AS statistic, own_limit AS threshold,
    if(position >= first_alarm, found, '') AS alarm, over,
    if(alarm != '', s[change].1, NULL) AS since, if(alarm != '', before, NULL) AS mean_before, if(alarm != '', after, NULL) AS mean_since,
    if(alarm != '', arraySum(arraySlice(s.2, change, first_alarm - change + 1)), NULL) AS n_since, mean_since - mean_before AS difference,
    cut(difference - 1.959963984540054 * change_error, on_unit, -1) AS difference_low, cut(difference + 1.959963984540054 * change_error, on_unit, -1) AS difference_high,
    size AS shift_unit, cut(mean - 1.959963984540054 * standard_error, on_unit, 0) AS low, cut(mean + 1.959963984540054 * standard_error, on_unit, 0) AS high, on_unit, skew_down[position] AS skew_decrease, skew_up[position] AS skew_increase, base_skew_down AS baseline_skew_decrease, base_skew_up AS baseline_skew_increase
FROM summed ARRAY JOIN arrayEnumerate(s) AS position
ORDER BY metric, unit, window_start
