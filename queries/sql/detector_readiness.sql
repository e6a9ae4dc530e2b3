-- title: Which scores the detector can watch
-- answers: For every score how many windows with enough scores reference and period have; without two windows of
--   reference and one of the period the e-detector says nothing, which is not the same as quiet.
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
-- param min_n UInt32 = 5 -- windows with fewer scores do not count; those of one conversation are one
-- param adjust UInt8 = 1 -- 1 counts in the period only services that the reference has, as the e-detector does where it takes the mix out
-- param references UInt8 = 1 -- 1 keeps to accepted and held references (`evalspan drift accept`), as the e-detector does; 0 to the dates alone
-- column metric -- evaluation name
-- column unit -- what the scores judge: span, trace or conversation
-- column evaluator_version -- the newest version
-- column n_before -- its scores in the reference
-- column n_after -- its scores in the period
-- column windows_before -- windows with enough scores in the reference
-- column windows_after -- windows with enough scores in the period
-- column enough -- 1 if the e-detector can tell
-- column problem -- what is missing
-- method: counts.
-- source: own.
WITH
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    if({baseline_s:UInt32} = 0, {since_s:UInt32}, {baseline_s:UInt32}) AS reference_s,
    -- include kept_references
    read AS
    (
        SELECT (s.name, toString(s.unit)) AS name, evaluator_version AS one_version, conversation_id AS conversation, if({adjust:UInt8} = 1, toString(service), '') AS one_service, span_time, created_at, reference_of(toString(s.name)) AS reference,
            toStartOfInterval(span_time, toIntervalSecond({window_s:UInt32})) AS window
        FROM {of:Identifier} AS s
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND ({metric:String} = '' OR s.name = {metric:String}) AND ({unit:String} = '' OR s.unit = {unit:String})
            AND span_time >= from_time AND span_time < until_time
            AND experiment_id = '' AND source != 'human' AND sample_weight > 0
            AND (score IS NOT NULL OR passed != 'unknown')
    ),
    -- include reference_and_period
    counted AS
    (
        SELECT name, one_version, watched, window, one_service, countIf(conversation = '') + uniqExactIf(conversation, conversation != '') AS n, (max(span_time), max(created_at)) AS last FROM scored GROUP BY name, one_version, watched, window, one_service
    ),
    -- what a service that the reference does not have adds is mix, not quality
    newest AS
    (
        SELECT name, one_version, watched, window, sumIf(n, known OR NOT watched) AS n FROM (SELECT *, max(NOT watched) OVER (PARTITION BY name, one_version, one_service) AS known, argMax(one_version, last) OVER (PARTITION BY name) AS newest_version FROM counted)
        WHERE one_version = newest_version GROUP BY name, one_version, watched, window
    )
SELECT name.1 AS metric, name.2 AS unit, any(one_version) AS evaluator_version, sumIf(n, NOT watched) AS n_before, sumIf(n, watched) AS n_after,
    countIf(NOT watched AND n >= {min_n:UInt32}) AS windows_before, countIf(watched AND n >= {min_n:UInt32}) AS windows_after,
    windows_before >= 2 AND windows_after >= 1 AS enough,
    multiIf(enough, '', windows_before < 2, concat(toString(windows_before), ' windows with ', toString({min_n:UInt32}), ' or more scores in the reference, 2 are needed'),
        concat('no window with ', toString({min_n:UInt32}), ' or more scores in the period')) AS problem
FROM newest
GROUP BY name
ORDER BY metric, unit
