-- title: Did the mix of languages, users' segments or models shift?
-- answers: Whether the shares of languages, scripts, operations, models, tools, services and the application's own tags
--   in the period differ from the time before it, and which share moved most.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param since_s UInt32 = 604800 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param baseline_s UInt32 = 0 -- length of what is compared with, just before the period, 0 for as long as the period
-- param categories UInt32 = 50 -- the most frequent categories of a feature, the others count as one
-- param sample UInt32 = 5000 -- about so many calls on each side where there are more, drawn by hash of their ids
-- column feature -- language, operation, request_model, response_model, service, environment, agent_name or tag:<key>
-- column n_before -- calls before
-- column n_after -- calls in the period
-- column categories_seen -- how many categories
-- column psi -- population stability index, empty categories counted as a share of 0.0001
-- column psi_p -- its p-value by chi-square with (categories - 1) degrees of freedom
-- column js_distance -- Jensen-Shannon distance, 0 to 1
-- column chi_square -- Pearson's chi-square, on effective counts
-- column chi_square_p -- its p-value
-- column cramers_v -- its size, 0 to 1
-- column moved_most -- the category whose share moved most
-- column share_before -- its weighted share before
-- column share_after -- its weighted share in the period
-- column moved -- 1 if the chi-square p-value is at most 0.05 after Benjamini and Hochberg over the features and the distance at least 0.1
-- method: the language is the one of seven (English, German, French, Spanish, Italian, Portuguese, Dutch) whose most
--   frequent words the last user message holds most of, else its script, else "unknown".
-- source: Pearson (1900); Lin (1991); evaluators/statistics/distances.py is its oracle.
WITH
    -- P(chi-square with df degrees of freedom > x) by the series of the incomplete gamma function
    ((x, df) -> if(df < 1 OR x <= 0, 1, if(x > 250 + 2 * df, 0, greatest(0, 1 - exp(df / 2 * log(x / 2) - x / 2 - lgamma(df / 2 + 1))
        * arrayFold((sums, k) -> (sums.1 + sums.2 * x / 2 / (df / 2 + k), sums.2 * x / 2 / (df / 2 + k)), range(1, 600), (toFloat64(1), toFloat64(1))).1)))) AS chi_square_tail,
    -- include language
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    since_time - toIntervalSecond(if({baseline_s:UInt32} = 0, {since_s:UInt32}, {baseline_s:UInt32})) AS baseline_time,
    -- every k-th call by hash, read once: what follows asks for the rows several times, and texts are dear to read
    (
        SELECT groupArray((watched, sample_weight, pairs))
        FROM
        (
            SELECT start_time >= since_time AS watched, sample_weight,
                mapFilter((k, v) -> startsWith(k, 'evalspan.tag.') AND NOT endsWith(k, 'clock_shift_s'), attributes) AS tags,
                JSONExtractArrayRaw(arrayLast(m -> JSONExtractString(m, 'role') = 'user', JSONExtractArrayRaw(input)), 'parts') AS parts,
                if(empty(parts), input, arrayStringConcat(arrayMap(part -> JSONExtractString(part, 'content'), parts), ' ')) AS text,
                named_language(text, hits_of(words_of(text))) AS language,
                arrayConcat([
                ('language', language), ('operation', toString(operation)), ('request_model', toString(request_model)), ('response_model', toString(response_model)),
                ('service', toString(service)), ('environment', toString(environment)), ('agent_name', toString(agent_name))],
                arrayMap((k, v) -> (concat('tag:', substring(k, 14)), v), mapKeys(tags), mapValues(tags))) AS pairs
            FROM spans
            -- include drawn_calls
        )
    ) AS drawn,
    categorised AS
    (
        SELECT call.1 AS watched, call.2 AS w, pair.1 AS feature, pair.2 AS category FROM (SELECT arrayJoin(drawn) AS call) ARRAY JOIN call.3 AS pair
    ),
    totals AS
    (
        SELECT feature, countIf(NOT watched) AS n_before, countIf(watched) AS n_after,
            sumIf(w, NOT watched) AS total_before, sumIf(w, watched) AS total_after,
            pow(total_before, 2) / sumIf(w * w, NOT watched) AS n, pow(total_after, 2) / sumIf(w * w, watched) AS m,
            topK(500)(category) AS frequent
        FROM categorised GROUP BY feature HAVING n_before > 0 AND n_after > 0
    ),
    shares AS
    (
        SELECT feature, if(indexOf(frequent, category) BETWEEN 1 AND {categories:UInt32}, category, '(other)') AS kind,
            sumIf(w, NOT watched) / any(total_before) AS p, sumIf(w, watched) / any(total_after) AS q, any(n) AS before_n, any(m) AS after_n
        FROM categorised INNER JOIN totals USING (feature) GROUP BY feature, kind
    ),
    distances AS
    (
        SELECT feature, count() AS categories_seen, any(before_n) AS n, any(after_n) AS m,
            sum((if(p = 0, 1e-4, p) - if(q = 0, 1e-4, q)) * log(if(p = 0, 1e-4, p) / if(q = 0, 1e-4, q))) AS psi,
            sqrt(greatest(0, sum(if(p > 0, p * log2(2 * p / (p + q)), 0) + if(q > 0, q * log2(2 * q / (p + q)), 0)) / 2)) AS js_distance,
            sum(pow(p - q, 2) / (before_n * p + after_n * q)) * n * m AS chi_square,
            argMax((kind, p, q), abs(p - q)) AS most
        FROM shares GROUP BY feature
    ),
    tested AS
    (
        SELECT *, chi_square_tail(psi * n * m / (n + m), categories_seen - 1) AS psi_p, chi_square_tail(chi_square, categories_seen - 1) AS chi_square_p
        FROM distances
    )
SELECT feature, n_before, n_after, categories_seen, psi, psi_p, js_distance, chi_square, chi_square_p,
    sqrt(chi_square / (ranked.n + ranked.m)) AS cramers_v, most.1 AS moved_most, most.2 AS share_before, most.3 AS share_after,
    js_distance >= 0.1 AND min(chi_square_p * tests / place) OVER (ORDER BY chi_square_p DESC, place DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) <= 0.05 AS moved
FROM (SELECT *, row_number() OVER (ORDER BY chi_square_p) AS place, count() OVER () AS tests FROM tested) AS ranked INNER JOIN totals USING (feature)
WHERE categories_seen > 1
ORDER BY moved DESC, js_distance DESC, feature
