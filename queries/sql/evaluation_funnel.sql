-- title: What became of the spans that online evaluation rules ask about
-- answers: For every rule: how many spans it saw, matched, drew, left over budget, still holds, scored or could not
--   score, how far it is behind, and why it is off or waiting.
-- param rule String = '' -- rule name, empty for all
-- column rule -- name in [evaluation]
-- column stream -- uniform (every number comes from it) or targeted (harvests failures, weight 0)
-- column seen -- spans of the project that were looked at
-- column matched -- spans that the condition matched
-- column sampled -- matched spans whose lot was below the probability
-- column over_budget -- sampled spans that were left out because the budget was spent
-- column queued -- sampled spans that wait to be scored
-- column finished -- spans with all their evaluations
-- column scored -- evaluations with a score
-- column unscored -- evaluations without one
-- column unscored_reasons -- the most frequent reasons
-- column failed -- spans given up after retries
-- column cost_usd -- what the judges cost, in dollars
-- column lag_s -- seconds between now and the last span that was decided
-- column last_score -- time of the newest evaluation
-- column waiting_for -- why the rule waits: a judge that is away, or the next budget
-- column problem -- why the rule is off
-- method: the workers' running counts (cursors) beside the rows that they wrote (evaluations).
-- source: own.
WITH
    states AS
    (
        SELECT JSONExtractString(state, 'rule') AS rule, any(JSONExtractString(state, 'stream')) AS stream,
            sum(JSONExtractUInt(state, 'seen')) AS seen, sum(JSONExtractUInt(state, 'matched')) AS matched,
            sum(JSONExtractUInt(state, 'sampled')) AS sampled, sum(JSONExtractUInt(state, 'over_budget')) AS over_budget,
            sum(JSONExtractUInt(state, 'queued')) AS queued, sum(JSONExtractUInt(state, 'finished')) AS finished,
            sum(JSONExtractUInt(state, 'failed')) AS failed,
            dateDiff('second', min(reached), now64(3, 'UTC')) AS lag_s,
            max(JSONExtractString(state, 'retrying')) AS waiting_for, max(JSONExtractString(state, 'problem')) AS problem
        FROM
        (
            SELECT consumer, argMax(position_key, version) AS state, argMax(position, version) AS reached
            FROM cursors WHERE startsWith(consumer, 'online/') GROUP BY consumer
        )
        GROUP BY rule
    ),
    written AS
    (
        SELECT metadata['rule'] AS rule, countIf(error = '') AS scored, countIf(error != '') AS unscored,
            topKIf(3)(leftUTF8(error, 80), error != '') AS unscored_reasons, sum(ifNull(judge_cost_usd, 0)) AS cost_usd, max(created_at) AS last_score
        FROM evaluations WHERE metadata['rule'] != '' GROUP BY rule
    )
SELECT rule, stream, seen, matched, sampled, over_budget, queued, finished, scored, unscored, unscored_reasons, failed,
    cost_usd, lag_s, last_score, waiting_for, problem
FROM states LEFT JOIN written USING (rule)
WHERE {rule:String} = '' OR rule = {rule:String}
ORDER BY rule
