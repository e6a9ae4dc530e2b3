-- title: Distribution of one score
-- answers: Is the mean the middle of one group, or between two?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param name String = '' -- an evaluator
-- param unit String = span -- span, trace or conversation: what was judged
-- param source String = '' -- code, llm_judge, human, user_feedback or sdk, '' for all but human
-- column low -- start of the bin
-- column high -- its end
-- column n -- scores in it
-- column traces -- stored traces (conversations, when these were judged) with such a score
-- column share -- weighted share of the scores
WITH
    scored AS (SELECT cityHash64(if({unit:String} = 'conversation', conversation_id, trace_id)) AS judged, sample_weight AS w, assumeNotNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS y FROM evaluations
        WHERE name = {name:String} AND unit = {unit:String} AND if({source:String} = '', source != 'human', toString(source) = {source:String}) AND span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND experiment_id = '' AND sample_weight > 0
            AND coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass'))) IS NOT NULL),
    (SELECT (if(min(y) >= 0 AND max(y) <= 1, 0, min(y)), if(min(y) >= 0 AND max(y) <= 1, 1, max(y)), sum(w)) FROM scored) AS bounds,
    greatest(bounds.2 - bounds.1, 1e-9) / 20 AS width,
    -- The ends of bins as they are printed and followed: a score on an end is in the bin that begins there.
    k -> if(width < 1e-7 OR k = 0, bounds.1 + k * width, round(bounds.1 + k * width, 9)) AS edge
SELECT edge(bin) AS low, edge(bin + 1) AS high, n, traces, ifNull(weight / bounds.3, 0) AS share
FROM
(
    SELECT toUInt8(greatest(0, place + (place < 19 AND y >= edge(place + 1)) - (y < edge(place)))) AS bin, count() AS n, uniqExact(judged) AS traces, sum(w) AS weight
    FROM (SELECT *, toInt32(least(19, floor((y - bounds.1) / width))) AS place FROM scored)
    GROUP BY bin ORDER BY bin WITH FILL FROM 0 TO 20
)
