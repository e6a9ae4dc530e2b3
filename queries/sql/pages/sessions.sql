-- title: Conversations
-- answers: Which conversations took place, how long, how good?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param q String = '' -- the beginning of a session or user id, '' for all
-- param bad UInt8 = 0 -- 1 for those that went badly: an error, a failed score or thumbs down
-- param erred UInt8 = 0 -- 1 for those with an error
-- param failed UInt8 = 0 -- 1 for those with a failed score
-- param down UInt8 = 0 -- 1 for those with thumbs down
-- param by_last UInt8 = 1 -- 1 sorts by the last turn
-- param by_turns UInt8 = 0 -- 1 sorts by turns
-- param by_errors UInt8 = 0 -- 1 sorts by errors
-- param by_score UInt8 = 0 -- 1 sorts by the lowest score
-- param by_cost UInt8 = 0 -- 1 sorts by cost
-- param by_duration UInt8 = 0 -- 1 sorts by the time from first to last turn
-- param ids Array(String) = [] -- with by_page: the conversations of the page
-- param by_page UInt8 = 0 -- 1 reads the turns and scores of `ids` only, without a total
-- param whole UInt8 = 1 -- 1 reads those of all, and sorts and filters by what they hold
-- param rows UInt32 = 50 -- how many
-- param skip UInt32 = 0 -- how many are left out first
-- column turns -- traces in the conversation
-- column first_trace -- the trace that began first
-- column last_trace -- the trace that went on last
-- column newest -- when its newest span began
-- column lowest -- the lowest score of evaluators, NULL when there is none
-- column worst -- the evaluator that gave it
-- column failures -- failed scores
-- column thumbs_down -- feedback of users that was bad
-- column total -- conversations that match
-- method: counts of stored spans. Slot: conditions on the conversation.
WITH
    turns AS
    (
        SELECT conversation_id, trace_id, any(user_id) AS user, min(start_time) AS begun, max(start_time) AS latest, max(start_time + toIntervalNanosecond(duration_ns)) AS ended, countIf(status = 'ERROR') AS errors,
            sumIf(ifNull(input_tokens, 0) + ifNull(output_tokens, 0), role = 'call') AS tokens,
            sumIf(ifNull(cost_usd, 0), role = 'call') AS cost_usd, any(service) AS service
        FROM spans
        WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND conversation_id != ''
        AND (startsWith(conversation_id, {q:String}) OR startsWith(user_id, {q:String})) -- if q
-- slot conditions
        AND conversation_id IN {ids:Array(String)} -- if by_page
        GROUP BY conversation_id, trace_id
    ),
    -- Apart, because what is said of whole conversations has no trace: one list for both would be read twice.
    judged AS
    (
        SELECT trace_id, minIf(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass'))) AS y, source NOT IN ('human', 'user_feedback')) AS lowest, argMinIf(name, y, source NOT IN ('human', 'user_feedback')) AS worst, countIf(passed = 'fail' AND source != 'user_feedback') AS failures,
            countIf(source = 'user_feedback' AND passed = 'fail') AS down, countIf(source = 'user_feedback' AND passed = 'pass') AS up
        FROM evaluations FINAL
        WHERE trace_id != ''
        AND trace_id IN (SELECT DISTINCT trace_id FROM spans WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)} AND conversation_id IN {ids:Array(String)}) -- if by_page
        AND span_time >= {start:DateTime64(3)} - INTERVAL 1 HOUR AND span_time < {end:DateTime64(3)} + INTERVAL 1 DAY
        AND project = {project:String} -- if project
        AND experiment_id = '' AND name NOT IN ('review', 'queued') AND sample_weight > 0
        GROUP BY trace_id
    ),
    wholes AS
    (
        SELECT conversation_id AS whole, minIf(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass'))) AS y, source NOT IN ('human', 'user_feedback')) AS lowest, argMinIf(name, y, source NOT IN ('human', 'user_feedback')) AS worst, countIf(passed = 'fail' AND source != 'user_feedback') AS failures,
            countIf(source = 'user_feedback' AND passed = 'fail') AS down, countIf(source = 'user_feedback' AND passed = 'pass') AS up
        FROM evaluations FINAL
        WHERE span_id = '' AND trace_id = ''
        AND span_time >= {start:DateTime64(3)} - INTERVAL 1 HOUR AND span_time < {end:DateTime64(3)} + INTERVAL 1 DAY
        AND project = {project:String} -- if project
        AND experiment_id = '' AND name NOT IN ('review', 'queued') AND sample_weight > 0
        AND conversation_id IN {ids:Array(String)} -- if by_page
        GROUP BY conversation_id
    ),
    conversations AS
    (
        SELECT conversation_id, any(user) AS user, count() AS turns, argMin(turns.trace_id, begun) AS first_trace, argMax(turns.trace_id, latest) AS last_trace, min(begun) AS first, max(begun) AS last, max(latest) AS newest, max(ended) AS finished, sum(errors) AS errors, sum(tokens) AS tokens, sum(cost_usd) AS cost_usd,
            groupUniqArray(3)(toString(service)) AS services, min(j.lowest) AS turn_lowest, argMin(j.worst, j.lowest) AS turn_worst, sum(j.failures) AS turn_failures, sum(j.down) AS turn_down, sum(j.up) AS turn_up
        FROM turns LEFT JOIN judged AS j ON j.trace_id = turns.trace_id
        GROUP BY conversation_id
    )
SELECT conversation_id, user, turns, first_trace, last_trace, first, last, newest, dateDiff('millisecond', first, finished) * 1e6 AS duration_ns, errors, tokens, cost_usd, services,
    if(w.lowest IS NOT NULL AND (turn_lowest IS NULL OR w.lowest < turn_lowest), w.lowest, turn_lowest) AS lowest, if(w.lowest IS NOT NULL AND (turn_lowest IS NULL OR w.lowest < turn_lowest), w.worst, turn_worst) AS worst,
    turn_failures + w.failures AS failures, turn_down + w.down AS thumbs_down, turn_up + w.up AS thumbs_up,
    0 AS total -- if by_page
    count() OVER () AS total -- if whole
FROM conversations LEFT JOIN wholes AS w ON w.whole = conversation_id
WHERE 1
    AND (errors > 0 OR failures > 0 OR thumbs_down > 0) -- if bad
    AND errors > 0 -- if erred
    AND failures > 0 -- if failed
    AND thumbs_down > 0 -- if down
ORDER BY
    turns DESC, -- if by_turns
    errors DESC, -- if by_errors
    lowest ASC NULLS LAST, -- if by_score
    cost_usd DESC, -- if by_cost
    duration_ns DESC, -- if by_duration
    newest DESC, conversation_id
LIMIT {skip:UInt32}, {rows:UInt32} -- if whole
SETTINGS final = 0, join_use_nulls = 0
