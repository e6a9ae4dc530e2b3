-- title: Evaluators that stopped
-- answers: Which evaluators made scores before and make none now, though calls keep coming; an evaluator that is
--   broken is an incident, not a quiet day.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param metric String = '' -- evaluation name, empty for all
-- param silence_s UInt32 = 3600 -- silent for this long counts, in seconds
-- param since_s UInt32 = 604800 -- evaluators that scored in this time are expected to go on, in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- column metric -- evaluation name
-- column last_score -- when its last score was written
-- column silent_s -- for how many seconds
-- column calls_since -- calls stored since then
-- column failures_since -- its evaluations without a score since then
-- column reason -- the newest reason of these
-- method: newest write times; scores by evaluators only, not by people.
-- source: own.
WITH
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    written AS
    (
        SELECT name, maxIf(created_at, score IS NOT NULL OR passed != 'unknown') AS last_score,
            groupArrayIf((created_at, error), score IS NULL AND passed = 'unknown') AS failures
        FROM evaluations
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND ({metric:String} = '' OR name = {metric:String}) AND experiment_id = ''
            AND source IN ('code', 'llm_judge') AND created_at >= until_time - toIntervalSecond({since_s:UInt32}) AND created_at < until_time
        GROUP BY name
    ),
    calls AS
    (
        SELECT arraySort(groupArray(toDateTime64(ingested_at, 3, 'UTC'))) AS times FROM spans
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND role = 'call'
            AND start_time >= until_time - toIntervalSecond({since_s:UInt32}) AND start_time < until_time AND ingested_at < until_time
    )
SELECT *
FROM
(
    SELECT name AS metric, last_score, dateDiff('second', last_score, until_time) AS silent_s,
        arrayCount(time -> time > last_score, calls.times) AS calls_since,
        arrayCount(failure -> failure.1 > last_score, failures) AS failures_since,
        arrayLast(failure -> failure.1 > last_score, arraySort(failures)).2 AS reason
    FROM written CROSS JOIN calls
)
WHERE silent_s >= {silence_s:UInt32} AND (calls_since > 0 OR failures_since > 0)
ORDER BY silent_s DESC
