-- title: Traces by what all their spans hold
-- answers: Which traces cost most, or failed most often?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param every UInt8 = 0 -- 1 for every trace also without a root span in the store
-- param by_cost UInt8 = 1 -- 1 for the dearest first
-- param by_errors UInt8 = 0 -- 1 for those with most failed spans first
-- param rows UInt32 = 50 -- how many
-- param skip UInt32 = 0 -- how many are left out first
-- column id -- the trace
-- column entered -- when the span began by which it entered
-- column amount -- dollars of its calls, or failed spans
-- method: one scan of narrow columns, a span that was sent twice counted once; pages/traces reads the rows of these traces. Slot: conditions on the trace.
SELECT any(trace_id) AS id, max(entered_at) AS entered,
    sumIf(cost_usd, role = 'call') AS amount -- if by_cost
    countIf(status = 'ERROR') AS amount -- if by_errors
FROM
(
    SELECT trace_id, role, cost_usd, status,
        if(start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND (parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER') OR {every:UInt8} = 1), start_time, NULL) AS entered_at
    FROM spans FINAL
    WHERE start_time >= {start:DateTime64(3)} - INTERVAL 1 HOUR AND start_time < {end:DateTime64(3)} + INTERVAL 1 HOUR
        AND project = {project:String} -- if project
-- slot conditions
)
GROUP BY cityHash64(trace_id)
HAVING entered IS NOT NULL
ORDER BY amount DESC NULLS LAST, entered DESC, id
LIMIT {skip:UInt32}, {rows:UInt32}
SETTINGS final = 0
