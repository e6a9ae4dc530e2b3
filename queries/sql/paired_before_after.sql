-- title: The same inputs before and after a change
-- answers: How every score differs between two prompt versions, models or other values on inputs that both answered;
--   sharper than comparing the averages, because hard inputs no longer count as differences.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param metric String = '' -- evaluation name, empty for all
-- param unit String = '' -- span, trace or conversation; empty for all, each by itself
-- param by String = system_hash -- service, environment, request_model, prompt_name, prompt_version, system_hash or segment
-- param after String -- the value that is new
-- param before String -- the value it replaced
-- param since_s UInt32 = 1209600 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- column metric -- evaluation name
-- column unit -- what the scores judge: span, trace or conversation
-- column pairs -- inputs that both answered, several answers to one input averaged
-- column mean_before -- mean over these inputs
-- column mean_after -- mean over these inputs
-- column difference -- after minus before
-- column standard_error -- of the difference
-- column low -- lower end of its 95 % interval, normal
-- column high -- upper end
-- column p -- two-sided, normal
-- column worse -- inputs with a lower score after
-- column better -- inputs with a higher score after
-- column sign_p -- exact two-sided sign test on these (McNemar's for verdicts)
-- method: the last user message is the input, case and spaces aside; unweighted over inputs. Answers of one conversation,
--   else of one trace, are a cluster, before and after each by its own (two-way clusters); never less than without them.
-- source: Student (1908); McNemar (1947); Cameron, Gelbach, Miller (2011); evaluators/statistics/comparisons.py is its oracle.
WITH
    -- means of scores between 0 and 1 differ by 1 at most
    ((x, on_unit) -> if(on_unit, greatest(-1, least(1, x)), x)) AS cut,
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    asked AS
    (
        SELECT trace_id, span_id,
            JSONExtractArrayRaw(arrayLast(m -> JSONExtractString(m, 'role') = 'user', JSONExtractArrayRaw(input)), 'parts') AS parts,
            sipHash64(lowerUTF8(replaceRegexpAll(trimBoth(if(empty(parts), input, arrayStringConcat(arrayMap(part -> JSONExtractString(part, 'content'), parts), ' '))), '\\s+', ' '))) AS question
        FROM spans
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND operation != '' AND input != ''
            AND start_time >= until_time - toIntervalSecond({since_s:UInt32}) - toIntervalHour(1) AND start_time < until_time + toIntervalHour(1)
    ),
    scored AS
    (
        SELECT (s.name, toString(s.unit)) AS name, evaluator_version, trace_id, span_id, sipHash64(if(conversation_id != '', conversation_id, trace_id)) AS cluster,
            assumeNotNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS y,
            -- include score_group
            AS value,
            span_time, created_at
        FROM evaluations AS s
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND ({metric:String} = '' OR s.name = {metric:String}) AND ({unit:String} = '' OR s.unit = {unit:String})
            AND span_time >= until_time - toIntervalSecond({since_s:UInt32}) AND span_time < until_time
            AND experiment_id = '' AND source != 'human' AND (score IS NOT NULL OR passed != 'unknown')
    ),
    newest AS (SELECT name, argMax(evaluator_version, (span_time, created_at)) AS evaluator_version FROM scored GROUP BY name),
    answered AS
    (
        SELECT name, question, value = {after:String} AS is_after, cluster, y
        FROM scored INNER JOIN asked USING (trace_id, span_id)
        WHERE value IN ({before:String}, {after:String}) AND (name, evaluator_version) IN (SELECT name, evaluator_version FROM newest)
    ),
    paired AS
    (
        SELECT name, question, avgIf(y, NOT is_after) AS old, avgIf(y, is_after) AS new, new - old AS d, avg(d) OVER (PARTITION BY name) AS mean_d, (anyIf(cluster, NOT is_after), anyIf(cluster, is_after)) AS both
        FROM answered GROUP BY name, question HAVING countIf(NOT is_after) > 0 AND countIf(is_after) > 0
    ),
    moved AS
    (
        SELECT name, is_after, cluster, sum(share * (d - mean_d)) AS by
        FROM (SELECT name, question, is_after, cluster, count() / sum(count()) OVER (PARTITION BY name, question, is_after) AS share FROM answered GROUP BY name, question, is_after, cluster) AS one
        INNER JOIN paired USING (name, question)
        GROUP BY name, is_after, cluster
    ),
    clustered AS
    (
        SELECT name, sum(part) AS variance FROM
        (
            SELECT name, sum(by * by) * count() / (count() - 1) AS part FROM moved GROUP BY name, is_after
            UNION ALL
            SELECT name, -sum(by * by) * count() / (count() - 1) AS part FROM (SELECT name, both, sum(d - mean_d) AS by FROM paired GROUP BY name, both) GROUP BY name
        )
        GROUP BY name
    ),
    summed AS
    (
        SELECT name, count() AS pairs, least(min(old), min(new)) >= 0 AND greatest(max(old), max(new)) <= 1 AS on_unit, avg(old) AS mean_before, avg(new) AS mean_after, avg(d) AS difference,
            pow(stddevSampStable(d), 2) / pairs AS alone, any(clustered.variance) / pow(pairs, 2) AS together,
            if(pairs < 2, NULL, if(min(d) = max(d), 0, sqrt(if(isFinite(together), greatest(alone, together), alone)))) AS standard_error,
            countIf(d < 0) AS worse, countIf(d > 0) AS better
        FROM paired INNER JOIN clustered USING (name) GROUP BY name
    )
SELECT name.1 AS metric, name.2 AS unit, pairs, mean_before, mean_after, difference, standard_error,
    cut(difference - 1.959963984540054 * standard_error, on_unit) AS low, cut(difference + 1.959963984540054 * standard_error, on_unit) AS high,
    multiIf(standard_error IS NULL, NULL, difference = 0, 1, standard_error = 0, pow(2, 1 - toFloat64(pairs)), erfc(abs(difference) / standard_error / sqrt(2))) AS p,
    worse, better,
    least(1, 2 * arraySum(k -> exp(lgamma(worse + better + 1) - lgamma(k + 1) - lgamma(worse + better - k + 1) - (worse + better) * log(2)), range(least(worse, better) + 1))) AS sign_p
FROM summed
ORDER BY metric, unit
