-- title: Did lengths, tokens or latency shift?
-- answers: Whether the distributions of input length, output length, tokens and duration in the period differ from the
--   time before it. A threshold tuned on the old input may mean something else on the new one.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param since_s UInt32 = 604800 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param baseline_s UInt32 = 0 -- length of what is compared with, just before the period, 0 for as long as the period
-- param bins UInt32 = 10 -- bins of equal counts in the baseline
-- param sample UInt32 = 50000 -- about so many calls on each side where there are more, drawn by hash of their ids
-- column feature -- input_characters, output_characters, input_tokens, output_tokens or duration_ms
-- column n_before -- calls before
-- column n_after -- calls in the period
-- column effective_n_before -- what they are worth (Kish)
-- column effective_n_after -- what they are worth (Kish)
-- column median_before -- unweighted median before
-- column median_after -- unweighted median in the period
-- column psi -- population stability index over the bins, empty bins counted as a share of 0.0001
-- column psi_p -- its p-value by chi-square with (bins - 1) degrees of freedom
-- column js_distance -- Jensen-Shannon distance over the bins, 0 to 1
-- column chi_square -- Pearson's chi-square of the bins, on effective counts
-- column chi_square_p -- its p-value
-- column ks -- Kolmogorov-Smirnov statistic, weighted
-- column ks_p -- its asymptotic p-value
-- column moved -- 1 if the Kolmogorov-Smirnov p-value is at most 0.05 after Benjamini and Hochberg over the features and the distance at least 0.1
-- method: shares weighted by 1 / probability; tests on Kish's effective counts, which assumes calls that do not depend
--   on each other.
-- source: Lin (1991); Pearson (1900); Kolmogorov (1933); evaluators/statistics/distances.py is its oracle.
WITH
    -- P(chi-square with df degrees of freedom > x) by the series of the incomplete gamma function
    ((x, df) -> if(df < 1 OR x <= 0, 1, if(x > 250 + 2 * df, 0, greatest(0, 1 - exp(df / 2 * log(x / 2) - x / 2 - lgamma(df / 2 + 1))
        * arrayFold((sums, k) -> (sums.1 + sums.2 * x / 2 / (df / 2 + k), sums.2 * x / 2 / (df / 2 + k)), range(1, 600), (toFloat64(1), toFloat64(1))).1)))) AS chi_square_tail,
    (x -> if(x < 0.1, 1, greatest(0, least(1, 2 * arraySum(k -> if(k % 2 = 1, 1, -1) * exp(-2 * pow(k * x, 2)), range(1, 101)))))) AS kolmogorov_tail,
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    since_time - toIntervalSecond(if({baseline_s:UInt32} = 0, {since_s:UInt32}, {baseline_s:UInt32})) AS baseline_time,
    -- every k-th call by hash, read once: what follows asks for the rows several times, and texts are dear to read
    (
        SELECT groupArray((start_time >= since_time, sample_weight, lengthUTF8(input), lengthUTF8(output), input_tokens, output_tokens, duration_ns))
        FROM spans
        -- include drawn_calls
    ) AS drawn,
    measured AS
    (
        SELECT call.1 AS watched, call.2 AS w, pair.1 AS feature, assumeNotNull(pair.2) AS x
        FROM (SELECT arrayJoin(drawn) AS call)
        ARRAY JOIN [
            ('input_characters', toFloat64(call.3)), ('output_characters', toFloat64(call.4)),
            ('input_tokens', toFloat64(call.5)), ('output_tokens', toFloat64(call.6)), ('duration_ms', call.7 / 1e6)] AS pair
        WHERE pair.2 IS NOT NULL -- token counts that nobody sent
    ),
    sizes AS
    (
        SELECT feature, countIf(NOT watched) AS n_before, countIf(watched) AS n_after,
            sumIf(w, NOT watched) AS total_before, sumIf(w, watched) AS total_after,
            pow(total_before, 2) / sumIf(w * w, NOT watched) AS worth_before, pow(total_after, 2) / sumIf(w * w, watched) AS worth_after,
            medianExactIf(x, NOT watched) AS median_before, medianExactIf(x, watched) AS median_after,
            arraySort(groupArrayIf(x, NOT watched)) AS sorted,
            arrayDistinct(arrayMap(k -> sorted[toUInt64(ceil(n_before * k / {bins:UInt32}))], range(1, {bins:UInt32}))) AS edges
        FROM measured GROUP BY feature HAVING n_before > 0 AND n_after > 0
    ),
    binned AS
    (
        SELECT feature, arrayFirstIndex(edge -> x <= edge, edges) AS bin,
            sumIf(w, NOT watched) / any(total_before) AS p, sumIf(w, watched) / any(total_after) AS q,
            any(worth_before) AS n, any(worth_after) AS m
        FROM measured INNER JOIN sizes USING (feature) GROUP BY feature, bin
    ),
    distances AS
    (
        SELECT feature, count() AS bins_used,
            sum((greatest(p, if(p = 0, 1e-4, 0)) - greatest(q, if(q = 0, 1e-4, 0))) * log(greatest(p, if(p = 0, 1e-4, 0)) / greatest(q, if(q = 0, 1e-4, 0)))) AS psi,
            sqrt(greatest(0, sum(if(p > 0, p * log2(2 * p / (p + q)), 0) + if(q > 0, q * log2(2 * q / (p + q)), 0)) / 2)) AS js_distance,
            sum(pow(p - q, 2) / (n * p + m * q)) * any(n * m) AS chi_square
        FROM binned GROUP BY feature
    ),
    stepped AS
    (
        SELECT feature, max(abs(below_before - below_after)) AS ks
        FROM
        (
            SELECT feature, x, sum(sumIf(w, NOT watched) / any(total_before)) OVER up_to AS below_before,
                sum(sumIf(w, watched) / any(total_after)) OVER up_to AS below_after
            FROM measured INNER JOIN sizes USING (feature) GROUP BY feature, x
            WINDOW up_to AS (PARTITION BY feature ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
        )
        GROUP BY feature
    ),
    tested AS
    (
        SELECT feature, n_before, n_after, worth_before AS effective_n_before, worth_after AS effective_n_after, median_before, median_after,
            worth_before * worth_after / (worth_before + worth_after) AS joint, psi, chi_square_tail(psi * joint, bins_used - 1) AS psi_p, js_distance,
            chi_square, chi_square_tail(chi_square, bins_used - 1) AS chi_square_p, ks, kolmogorov_tail(sqrt(joint) * ks) AS ks_p
        FROM sizes INNER JOIN distances USING (feature) INNER JOIN stepped USING (feature)
    )
SELECT feature, n_before, n_after, effective_n_before, effective_n_after, median_before, median_after,
    psi, psi_p, js_distance, chi_square, chi_square_p, ks, ks_p,
    js_distance >= 0.1 AND min(ks_p * tests / place) OVER (ORDER BY ks_p DESC, place DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) <= 0.05 AS moved
FROM (SELECT *, row_number() OVER (ORDER BY ks_p) AS place, count() OVER () AS tests FROM tested)
ORDER BY feature
