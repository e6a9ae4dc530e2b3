-- title: What changed in the application
-- answers: Which prompt fingerprints, prompt versions, models, tool sets, parameters and services were seen for the
--   first time in the period, or took another share of the calls than before it; "what changed" beside every drift.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param since_s UInt32 = 604800 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param baseline_s UInt32 = 0 -- length of what is compared with, just before the period, 0 for as long as the period
-- param min_share Float64 = 0.02 -- values below this share of the calls on both sides are left out
-- column dimension -- what kind of thing: system_hash, prompt_version, request_model, response_model, tools, temperature, service, environment
-- column value -- which one
-- column previous -- the most frequent other value before, empty if there was none
-- column first_seen -- its first call in baseline and period
-- column last_seen -- its last call
-- column n -- its stored calls in the period
-- column share_before -- weighted share of the calls before the period
-- column share_after -- weighted share of the calls in the period
-- column is_new -- 1 if it did not occur before the period
-- column pooled -- weighted share over both sides, on which p rests
-- column p -- two-sided p-value of the change of the share
-- column trace_id -- a trace that shows it
-- method: weighted shares; two-proportion z test with Kish's effective sizes.
-- source: Kish (1965); own.
WITH
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    since_time - toIntervalSecond(if({baseline_s:UInt32} = 0, {since_s:UInt32}, {baseline_s:UInt32})) AS baseline_time,
    calls AS
    (
        SELECT start_time, trace_id, sample_weight AS w, start_time >= since_time AS watched,
            arrayJoin([
                ('system_hash', toString(system_hash)),
                ('prompt_version', if(prompt_version = '', '', concat(prompt_name, '@', prompt_version))),
                ('request_model', toString(request_model)),
                ('response_model', toString(response_model)),
                ('tools', if(attributes['gen_ai.tool.definitions'] = '', '', lower(hex(sipHash64(attributes['gen_ai.tool.definitions']))))),
                ('temperature', attributes['gen_ai.request.temperature']),
                ('service', toString(service)),
                ('environment', toString(environment))]) AS pair,
            pair.1 AS dimension, pair.2 AS value
        FROM spans
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND start_time >= baseline_time AND start_time < until_time
            AND operation != '' AND request_model != ''
    ),
    totals AS
    (
        SELECT dimension, sumIf(w, watched) AS after, sumIf(w, NOT watched) AS before,
            pow(after, 2) / sumIf(w * w, watched) AS n_after, pow(before, 2) / sumIf(w * w, NOT watched) AS n_before
        FROM calls GROUP BY dimension
    ),
    shares AS
    (
        SELECT dimension, value, min(start_time) AS first_seen, max(start_time) AS last_seen, countIf(watched) AS n,
            sumIf(w, watched) AS after, sumIf(w, NOT watched) AS before, argMax(trace_id, start_time) AS trace_id
        FROM calls GROUP BY dimension, value
    ),
    previous AS
    (
        SELECT dimension, arrayMap(x -> x.2, arrayReverseSort(groupArray((before, value)))) AS values
        FROM shares WHERE before > 0 GROUP BY dimension
    )
SELECT shares.dimension AS dimension, value, arrayFirst(other -> other != value, previous.values) AS previous,
    first_seen, last_seen, n,
    if(totals.before > 0, shares.before / totals.before, 0) AS share_before,
    if(totals.after > 0, shares.after / totals.after, 0) AS share_after,
    shares.before = 0 AND totals.before > 0 AS is_new,
    (shares.before / totals.before * n_before + shares.after / totals.after * n_after) / (n_before + n_after) AS pooled,
    if(totals.before > 0 AND totals.after > 0 AND pooled < 1,
        erfc(abs(share_after - share_before) / sqrt(pooled * (1 - pooled) * (1 / n_before + 1 / n_after)) / sqrt(2)), 1) AS p,
    trace_id
FROM shares INNER JOIN totals ON shares.dimension = totals.dimension LEFT JOIN previous ON shares.dimension = previous.dimension
WHERE value != '' AND greatest(share_before, share_after) >= {min_share:Float64} AND (is_new OR (p < 0.001 AND abs(share_after - share_before) >= 0.05))
ORDER BY is_new DESC, abs(share_after - share_before) DESC, dimension, value
