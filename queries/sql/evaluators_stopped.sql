-- title: Online evaluation rules that score nothing
-- answers: Which rules are off, have spans waiting and wrote no score for too long, run in no living worker, or make
--   nothing but failures.
-- param stopped_after_s UInt32 = 900 -- seconds without a score, while spans wait, that count as stopped
-- param least_failures UInt32 = 20 -- evaluations without any score that count as broken
-- column rule -- name in [evaluation]
-- column reason -- why it is on this list
-- column queued -- sampled spans that wait
-- column silent_s -- seconds since it last scored or had nothing to do
-- column unscored -- evaluations without a score in the last day
-- method: the workers' running counts and signs of life (cursors), and the rows of the last day (evaluations).
-- source: own.
WITH
    states AS
    (
        SELECT JSONExtractString(state, 'rule') AS rule, sum(JSONExtractUInt(state, 'queued')) AS queued,
            dateDiff('second', fromUnixTimestamp64Milli(min(JSONExtractInt(state, 'progress_ms'))), now64(3)) AS silent_s,
            dateDiff('second', fromUnixTimestamp64Milli(max(JSONExtractInt(state, 'heartbeat_ms'))), now64(3)) AS lifeless_s,
            max(JSONExtractString(state, 'problem')) AS problem, max(JSONExtractString(state, 'retrying')) AS waiting_for
        FROM
        (
            SELECT consumer, argMax(position_key, version) AS state FROM cursors
            WHERE startsWith(consumer, 'online/') GROUP BY consumer
        )
        WHERE NOT JSONExtractBool(state, 'retired')
        GROUP BY rule
    ),
    written AS
    (
        SELECT metadata['rule'] AS rule, countIf(error = '') AS scored, countIf(error != '') AS unscored
        FROM evaluations WHERE metadata['rule'] != '' AND created_at >= now64(3) - INTERVAL 1 DAY GROUP BY rule
    )
SELECT rule,
    multiIf(
        problem != '', concat('off: ', problem),
        lifeless_s > {stopped_after_s:UInt32}, 'no worker shows signs of life',
        queued > 0 AND silent_s > {stopped_after_s:UInt32}, concat('spans wait and nothing is scored', if(waiting_for = '', '', ': '), waiting_for),
        'every evaluation fails') AS reason,
    queued, silent_s, unscored
FROM states LEFT JOIN written USING (rule)
WHERE problem != '' OR lifeless_s > {stopped_after_s:UInt32} OR (queued > 0 AND silent_s > {stopped_after_s:UInt32})
    OR (scored = 0 AND unscored >= {least_failures:UInt32})
ORDER BY rule
