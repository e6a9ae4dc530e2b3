-- title: A score over time, by any column or attribute
-- answers: Where is this score lower than elsewhere, and since when?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param name String = '' -- the evaluation
-- param unit String = span -- span, trace or conversation: what was judged
-- param by_span UInt8 = 1 -- 1 groups the scores of calls and traces by a value of their spans
-- param by_turn UInt8 = 0 -- 1 groups the scores of conversations by a value of their spans
-- param bucket_s UInt32 = 3600 -- seconds of one point
-- param top UInt32 = 8 -- how many values, those with the most scores first; the others are one row
-- column value -- the value, one of the most frequent, else (others)
-- column whole -- 1 for the row of the whole range, 0 for a point
-- column mean -- weighted mean
-- column standard_error -- of the mean
-- column lowest -- smallest score
-- column highest -- largest score
-- column n -- scores
-- column effective_n -- what they are worth (Kish)
-- column failed -- weighted share that failed
-- column traces -- traces (conversations, when these were judged) with such a score
-- method: Hajek means, linearised standard errors. Slots: the value as group, that of a score as own, conditions on the trace or conversation.
WITH
    keyed AS
    (
        SELECT trace_id, span_id, conversation_id, ifNull(toString(
-- slot group
        ), '') AS value
        FROM spans
        WHERE start_time >= {start:DateTime64(3)} - INTERVAL 1 HOUR AND start_time < {end:DateTime64(3)} + INTERVAL 1 HOUR
        AND project = {project:String} -- if project
    ),
    scored AS
    (
        SELECT if(e.unit = 'conversation', e.conversation_id, e.trace_id) AS judged, span_time, sample_weight AS w, passed,
-- slot own
            if(s.found != '', s.found, t.found) AS value, -- if by_span
            c.found AS value, -- if by_turn
            assumeNotNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS y
        FROM evaluations AS e FINAL
        LEFT JOIN (SELECT trace_id, span_id, any(keyed.value) AS found FROM keyed WHERE keyed.value != '' GROUP BY trace_id, span_id) AS s ON s.trace_id = e.trace_id AND s.span_id = e.span_id -- if by_span
        LEFT JOIN (SELECT trace_id, any(keyed.value) AS found FROM keyed WHERE keyed.value != '' GROUP BY trace_id) AS t ON t.trace_id = e.trace_id -- if by_span
        LEFT JOIN (SELECT conversation_id, any(keyed.value) AS found FROM keyed WHERE keyed.value != '' AND conversation_id != '' GROUP BY conversation_id) AS c ON c.conversation_id = e.conversation_id -- if by_turn
        WHERE name = {name:String} AND e.unit = {unit:String} AND source != 'human' AND span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND experiment_id = '' AND sample_weight > 0 AND coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass'))) IS NOT NULL
-- slot conditions
    ),
    (SELECT groupArray(value) FROM (SELECT value FROM scored GROUP BY value ORDER BY sum(w) DESC, value LIMIT {top:UInt32})) AS frequent
SELECT if(has(frequent, scored.value), scored.value, '(others)') AS label, toDateTime(toStartOfInterval(toDateTime64(span_time, 3, 'UTC'), toIntervalSecond({bucket_s:UInt32}), toDateTime64('1970-01-05', 3, 'UTC')), 'UTC') AS bucket,
    grouping(bucket) = 1 AS whole, label AS value, bucket AS time,
    count() AS n, uniqExact(judged) AS traces, sum(w) AS calls, pow(calls, 2) / sum(pow(w, 2)) AS effective_n, sum(w * y) / calls AS mean,
    sqrt(greatest(0, sum(pow(w * y, 2)) - 2 * mean * sum(w * w * y) + pow(mean, 2) * sum(w * w)) * n / greatest(n - 1, 1)) / calls AS standard_error, min(y) AS lowest, max(y) AS highest,
    sumIf(w, passed = 'fail') / calls AS failed
FROM scored
GROUP BY GROUPING SETS ((label), (label, bucket))
ORDER BY label, bucket
SETTINGS final = 0
