-- title: Traces by their lowest score
-- answers: Which traces were judged worst?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param every UInt8 = 0 -- 1 for every trace also without a root span in the store
-- param rows UInt32 = 50 -- how many
-- param skip UInt32 = 0 -- how many are left out first
-- column id -- the trace
-- column entered -- when the span began by which it entered
-- column amount -- its lowest score
-- method: pages/traces reads the rows of these traces. Slot: conditions on the trace.
SELECT judged.id AS id, listed.entered AS entered, judged.amount AS amount
FROM
(
    SELECT cityHash64(trace_id) AS trace, any(trace_id) AS id, min(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS amount
    FROM evaluations FINAL
    WHERE span_time >= {start:DateTime64(3)} - INTERVAL 1 HOUR AND span_time < {end:DateTime64(3)} + INTERVAL 1 HOUR
        AND project = {project:String} -- if project
        AND experiment_id = '' AND sample_weight > 0 AND trace_id != ''
    GROUP BY trace
    HAVING amount IS NOT NULL
) AS judged
INNER JOIN
(
    SELECT cityHash64(trace_id) AS trace, max(start_time) AS entered
    FROM spans
    WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND (parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER') OR {every:UInt8} = 1)
-- slot conditions
    GROUP BY trace
) AS listed ON listed.trace = judged.trace
ORDER BY amount, entered DESC, id
LIMIT {skip:UInt32}, {rows:UInt32}
SETTINGS final = 0
