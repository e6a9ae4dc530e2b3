-- title: What changed in the application
-- answers: Which prompt fingerprints, prompt versions, models, tool sets, parameters and services were seen for the
--   first time in the period, or took another share of the calls than before it; "what changed" beside every drift.
--   Shares are of the calls of the services that use the value, so an edit in a small service is as plain as in a large.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param since_s UInt32 = 604800 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param baseline_s UInt32 = 0 -- length of what is compared with, just before the period, 0 for as long as the period
-- param min_share Float64 = 0.02 -- values below this share on both sides are left out
-- param min_n UInt32 = 2 -- values with fewer stored calls are left out: a prompt that is another one in every call is no edit
-- column dimension -- what kind of thing: system_hash, prompt_version, request_model, response_model, tools, temperature, service, environment
-- column value -- which one
-- column previous -- of a prompt or fingerprint, the one last seen before it at the same prompt or call site; of others the most
--   frequent other value of those services before; empty if there was none
-- column first_seen -- its first call in baseline and period
-- column last_seen -- its last call
-- column n -- its stored calls in the period
-- column share_before -- weighted share of its services' calls before the period
-- column share_after -- weighted share of its services' calls in the period
-- column is_new -- 1 if it did not occur before the period, though other calls did
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
            pair.1 AS dimension, pair.2 AS value, if(dimension = 'service', '', service) AS home,
            -- where a value stands: a fingerprint replaces one of the same prompt or span, a version one of the same prompt
            multiIf(dimension = 'prompt_version', prompt_name, dimension = 'system_hash', if(prompt_name != '', prompt_name, name), '') AS site
        FROM spans
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND start_time >= baseline_time AND start_time < until_time
            AND role = 'call'
    ),
    homes AS
    (
        SELECT dimension, home, sumIf(w, watched) AS after, sumIf(w, NOT watched) AS before,
            sumIf(w * w, watched) AS squares_after, sumIf(w * w, NOT watched) AS squares_before
        FROM calls GROUP BY dimension, home
    ),
    uses AS
    (
        SELECT dimension, value, home, min(start_time) AS first, max(start_time) AS last, count() AS stored, countIf(watched) AS late,
            sumIf(w, watched) AS after, sumIf(w, NOT watched) AS before, argMax(trace_id, start_time) AS trace
        FROM calls WHERE value != '' GROUP BY dimension, value, home
    ),
    usual AS
    (
        -- two are enough: one of them is another value than the one that asks
        SELECT dimension, home, arraySlice(arrayReverseSort(groupArray((before, value))), 1, 2) AS values
        FROM uses WHERE before > 0 GROUP BY dimension, home
    ),
    places AS
    (
        SELECT dimension, home, site, value, min(start_time) AS first, max(start_time) AS last
        FROM calls WHERE value != '' AND dimension IN ('prompt_version', 'system_hash') GROUP BY dimension, home, site, value
    ),
    predecessors AS
    (
        SELECT a.dimension AS dimension, a.value AS value, argMax(b.value, (b.first < a.first, b.last)) AS other
        FROM places AS a INNER JOIN places AS b ON a.dimension = b.dimension AND a.home = b.home AND a.site = b.site
        WHERE a.value != b.value AND b.first <= a.first
        GROUP BY dimension, value
    ),
    shares AS
    (
        SELECT uses.dimension AS dimension, uses.value AS value, min(first) AS first_seen, max(last) AS last_seen, sum(late) AS n,
            sum(stored) AS calls, sum(uses.after) AS after, sum(uses.before) AS before, argMax(trace, last) AS trace_id,
            sum(homes.after) AS all_after, sum(homes.before) AS all_before,
            if(all_after > 0, pow(all_after, 2) / sum(squares_after), 0) AS n_after,
            if(all_before > 0, pow(all_before, 2) / sum(squares_before), 0) AS n_before,
            arrayFirst(other -> other.2 != value, arrayReverseSort(groupArrayArray(usual.values))).2 AS usually
        FROM uses INNER JOIN homes ON uses.dimension = homes.dimension AND uses.home = homes.home
            LEFT JOIN usual ON uses.dimension = usual.dimension AND uses.home = usual.home
        GROUP BY dimension, value
    ),
    begun AS (SELECT dimension, sum(before) AS before FROM homes GROUP BY dimension)
SELECT shares.dimension AS dimension, shares.value AS value, if(shares.dimension IN ('prompt_version', 'system_hash'), predecessors.other, usually) AS previous, first_seen, last_seen, n,
    if(all_before > 0, shares.before / all_before, 0) AS share_before,
    if(all_after > 0, after / all_after, 0) AS share_after,
    shares.before = 0 AND begun.before > 0 AS is_new,
    (share_before * n_before + share_after * n_after) / (n_before + n_after) AS pooled,
    if(all_before > 0 AND all_after > 0 AND pooled < 1,
        erfc(abs(share_after - share_before) / sqrt(pooled * (1 - pooled) * (1 / n_before + 1 / n_after)) / sqrt(2)), 1) AS p,
    trace_id
FROM shares INNER JOIN begun ON shares.dimension = begun.dimension
    LEFT JOIN predecessors ON predecessors.dimension = shares.dimension AND predecessors.value = shares.value
WHERE calls >= {min_n:UInt32} AND NOT (shares.dimension = 'system_hash' AND is_new AND value IN (SELECT arrayJoin(splitByChar(' ', template_hash)) FROM prompt_slots WHERE project = {project:String}))
    AND greatest(share_before, share_after) >= {min_share:Float64}
    AND (is_new OR (p < 0.001 AND abs(share_after - share_before) >= 0.05))
ORDER BY is_new DESC, abs(share_after - share_before) DESC, dimension, value
