-- title: Did the mix of an evaluation's labels shift?
-- answers: Whether the shares of the labels that an evaluation gives in the period differ from the time before it, and
--   which share moved most: topics of the inputs (input_topic), reasons of failures, verdicts of people.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param metric String = '' -- evaluation name, empty for all that give labels
-- param unit String = '' -- span, trace or conversation; empty for all, each by itself
-- param since_s UInt32 = 604800 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param baseline_s UInt32 = 0 -- length of what is compared with, just before the period, 0 for as long as the period
-- param categories UInt32 = 50 -- the most frequent labels, the others count as one
-- param q Float64 = 0.05 -- share of false findings among the findings
-- column metric -- evaluation name
-- column unit -- what the scores judge: span, trace or conversation
-- column evaluator_version -- the newest version; labels of other versions are left out
-- column n_before -- labels before
-- column n_after -- labels in the period
-- column effective_n_before -- how many independent labels of equal weight they are worth
-- column effective_n_after -- the same in the period
-- column labels_seen -- how many different labels
-- column psi -- population stability index, empty labels counted as a share of 0.0001
-- column psi_p -- its p-value by chi-square with (labels - 1) degrees of freedom
-- column js_distance -- Jensen-Shannon distance, 0 to 1
-- column chi_square -- Pearson's chi-square, on effective counts
-- column chi_square_p -- its p-value
-- column cramers_v -- its size, 0 to 1
-- column gained -- labels whose share grew most, with both shares
-- column lost -- labels whose share shrank most, with both shares
-- column moved -- 1 if the chi-square p-value is at most q after Benjamini and Hochberg over the metrics
-- method: shares weighted by 1 / probability; tests on effective counts: Kish's for the weights, with Rao and Scott's
--   design effect where labels of one conversation go together. With few labels in the period a shift of many small topics stays unseen: lengthen the period.
-- source: Pearson (1900); Lin (1991); Rao and Scott (1981); evaluators/statistics/distances.py is its oracle.
WITH
    -- P(chi-square with df degrees of freedom > x) by the series of the incomplete gamma function
    ((x, df) -> if(df < 1 OR x <= 0, 1, if(x > 250 + 2 * df, 0, greatest(0, 1 - exp(df / 2 * log(x / 2) - x / 2 - lgamma(df / 2 + 1))
        * arrayFold((sums, k) -> (sums.1 + sums.2 * x / 2 / (df / 2 + k), sums.2 * x / 2 / (df / 2 + k)), range(1, 600), (toFloat64(1), toFloat64(1))).1)))) AS chi_square_tail,
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    since_time - toIntervalSecond(if({baseline_s:UInt32} = 0, {since_s:UInt32}, {baseline_s:UInt32})) AS baseline_time,
    given AS
    (
        SELECT (s.name, toString(s.unit)) AS name, evaluator_version, label, span_time, created_at, sample_weight AS w, if(conversation_id = '', 0, sipHash64(conversation_id)) AS cluster, span_time >= since_time AS watched
        FROM evaluations AS s
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND ({metric:String} = '' OR s.name = {metric:String}) AND ({unit:String} = '' OR s.unit = {unit:String}) AND span_time >= baseline_time AND span_time < until_time
            AND experiment_id = '' AND source != 'human' AND sample_weight > 0 AND label != ''
    ),
    labelled AS
    (
        SELECT name, evaluator_version, label, watched, cluster, count() AS n, sum(w) AS total, sum(w * w) AS squares, (max(span_time), max(created_at)) AS last
        FROM given GROUP BY name, evaluator_version, label, watched, cluster
    ),
    newest AS
    (
        SELECT *, sum(n) OVER (PARTITION BY name, label) AS frequency
        FROM (SELECT *, argMax(evaluator_version, last) OVER (PARTITION BY name) AS version_used FROM labelled) WHERE evaluator_version = version_used
    ),
    ranked AS (SELECT *, dense_rank() OVER (PARTITION BY name ORDER BY frequency DESC, label) AS place FROM newest),
    placed AS
    (
        SELECT name, any(version_used) AS version_used, if(place <= {categories:UInt32}, label, '(other)') AS kind, watched, cluster, sum(n) AS labels, sum(total) AS weight, sum(squares) AS own_squares
        FROM ranked GROUP BY name, kind, watched, cluster
    ),
    weighed AS
    (
        SELECT *, sum(weight) OVER (PARTITION BY name, watched) AS side, sum(weight) OVER (PARTITION BY name, watched, kind) / side AS share,
            -- of the labels without a conversation each is a cluster of its own
            if(cluster = 0, own_squares, weight * weight) AS alone, if(cluster = 0, own_squares, weight * sum(weight) OVER (PARTITION BY name, watched, cluster)) AS together
        FROM placed
    ),
    -- what the labels of a side are worth: the number of independent ones whose shares would vary as much in sum (Rao and Scott)
    worths AS
    (
        SELECT name, watched, sum(weight * share) / any(side) AS same, (sum(alone) - 2 * sum(together * share) + sum(together) * same) / pow(any(side), 2) AS variance,
            pow(any(side), 2) / sum(own_squares) AS kish, if(max(cluster) > 0 AND variance > 0, least(kish, (1 - same) / variance), kish) AS worth
        FROM weighed GROUP BY name, watched
    ),
    counted AS
    (
        SELECT name, any(version_used) AS version_used, kind, sumIf(weight, NOT watched) AS before, sumIf(weight, watched) AS after, sumIf(labels, NOT watched) AS rows_before, sumIf(labels, watched) AS rows_after
        FROM placed GROUP BY name, kind
    ),
    both_worths AS (SELECT name, maxIf(worth, NOT watched) AS n, maxIf(worth, watched) AS m FROM worths GROUP BY name),
    shares AS
    (
        SELECT name, version_used, kind, before / sum(before) OVER whole AS p, after / sum(after) OVER whole AS q,
            sum(rows_before) OVER whole AS n_before, sum(rows_after) OVER whole AS n_after, n, m
        FROM counted INNER JOIN both_worths USING (name) WINDOW whole AS (PARTITION BY name)
    ),
    distances AS
    (
        SELECT name, any(version_used) AS evaluator_version, any(n_before) AS rows_before, any(n_after) AS rows_after, any(n) AS worth_before, any(m) AS worth_after,
            count() AS labels_seen,
            sum((if(p = 0, 1e-4, p) - if(q = 0, 1e-4, q)) * log(if(p = 0, 1e-4, p) / if(q = 0, 1e-4, q))) AS psi,
            sqrt(greatest(0, sum(if(p > 0, p * log2(2 * p / (p + q)), 0) + if(q > 0, q * log2(2 * q / (p + q)), 0)) / 2)) AS js_distance,
            sum(pow(p - q, 2) / (n * p + m * q)) * worth_before * worth_after AS chi_square,
            arraySlice(arrayReverseSort(x -> x.3 - x.2, groupArrayIf((kind, p, q), q > p)), 1, 5) AS gained,
            arraySlice(arraySort(x -> x.3 - x.2, groupArrayIf((kind, p, q), q < p)), 1, 5) AS lost
        FROM shares WHERE n_before > 0 AND n_after > 0 GROUP BY name HAVING labels_seen > 1
    ),
    tested AS
    (
        SELECT *, chi_square_tail(psi * worth_before * worth_after / (worth_before + worth_after), labels_seen - 1) AS psi_p,
            chi_square_tail(chi_square, labels_seen - 1) AS chi_square_p
        FROM distances
    )
SELECT name.1 AS metric, name.2 AS unit, evaluator_version, rows_before AS n_before, rows_after AS n_after, worth_before AS effective_n_before, worth_after AS effective_n_after,
    labels_seen, psi, psi_p, js_distance, chi_square, chi_square_p, sqrt(chi_square / (worth_before + worth_after)) AS cramers_v, gained, lost,
    min(chi_square_p * tests / place) OVER (ORDER BY chi_square_p DESC, place DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) <= {q:Float64} AS moved
FROM (SELECT *, row_number() OVER (ORDER BY chi_square_p) AS place, count() OVER () AS tests FROM tested)
ORDER BY moved DESC, js_distance DESC, metric, unit
