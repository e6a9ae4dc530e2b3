-- title: Do users ask about other things?
-- answers: Whether the words of the users' messages in the period are distributed differently than before it, and
--   which words gained and lost most: new products, new topics, another language.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param since_s UInt32 = 604800 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param baseline_s UInt32 = 0 -- length of what is compared with, just before the period, 0 for as long as the period
-- param vocabulary UInt32 = 500 -- the most frequent words, the others count as one
-- param splits UInt32 = 99 -- random splits that the observed distance is held against
-- param sample UInt32 = 3000 -- about so many calls on each side where there are more, drawn by hash of their ids
-- column n_before -- calls before
-- column n_after -- calls in the period
-- column words_before -- words before, unweighted
-- column words_after -- words in the period, unweighted
-- column js_distance -- Jensen-Shannon distance of the word frequencies, 0 to 1
-- column bound -- the distance that 95 % of random splits of the same calls stay below
-- column p -- share of random splits that are at least as far apart, the observed one counted
-- column gained -- words whose share grew most, with both shares
-- column lost -- words whose share shrank most, with both shares
-- method: permutation test over calls (a call keeps all its words), splits drawn by hash of the trace id; weighted.
-- source: Lin (1991); Good, Permutation Tests (2000).
WITH
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    since_time - toIntervalSecond(if({baseline_s:UInt32} = 0, {since_s:UInt32}, {baseline_s:UInt32})) AS baseline_time,
    -- every k-th call by hash, read once: what follows asks for the rows several times, and texts are dear to read
    (
        SELECT groupArray((trace_id, span_id, sample_weight, watched, words))
        FROM
        (
            SELECT trace_id, span_id, sample_weight, start_time >= since_time AS watched,
                JSONExtractArrayRaw(arrayLast(m -> JSONExtractString(m, 'role') = 'user', JSONExtractArrayRaw(input)), 'parts') AS parts,
                extractAll(lowerUTF8(leftUTF8(if(empty(parts), input, arrayStringConcat(arrayMap(part -> JSONExtractString(part, 'content'), parts), ' ')), 4000)), '[\\p{L}\\p{N}]+') AS words
            FROM spans
            -- include drawn_calls
        )
    ) AS drawn,
    calls AS
    (
        SELECT call.1 AS trace_id, call.2 AS span_id, call.3 AS w, call.4 AS watched, call.5 AS words FROM (SELECT arrayJoin(drawn) AS call)
    ),
    counted AS (SELECT countIf(NOT watched) AS before, countIf(watched) AS after, after / (before + after) AS share FROM calls),
    frequent AS (SELECT word FROM calls ARRAY JOIN words AS word GROUP BY word ORDER BY count() DESC, word LIMIT {vocabulary:UInt32}),
    spoken AS
    (
        SELECT trace_id, span_id, frequent.word AS kind, sum(w) AS weight
        FROM (SELECT trace_id, span_id, w, arrayJoin(words) AS said FROM calls) AS heard LEFT JOIN frequent ON heard.said = frequent.word
        GROUP BY trace_id, span_id, kind
    ),
    -- split 0 is the real one; a call falls into the second group of split k by a hash of its ids
    split_up AS
    (
        SELECT trace_id, span_id, arrayMap(split -> if(split = 0, watched,
            sipHash64(trace_id, span_id, split) / 18446744073709551616. < assumeNotNull((SELECT share FROM counted))), range(0, {splits:UInt32} + 1)) AS seconds
        FROM calls
    ),
    grouped AS
    (
        SELECT kind, sum(weight) AS all_weight, sumForEach(arrayMap(second -> weight * second, seconds)) AS second_weights
        FROM spoken INNER JOIN split_up USING (trace_id, span_id) GROUP BY kind
    ),
    shares AS
    (
        SELECT split, kind, (all_weight - second_weight) / sum(all_weight - second_weight) OVER (PARTITION BY split) AS p,
            second_weight / sum(second_weight) OVER (PARTITION BY split) AS q
        FROM grouped ARRAY JOIN second_weights AS second_weight, range(0, {splits:UInt32} + 1) AS split
    ),
    -- everything that the answer needs of the splits in one pass: a table expression is computed wherever it is named
    distances AS
    (
        SELECT split, sqrt(greatest(0, sum(if(p > 0, p * log2(2 * p / (p + q)), 0) + if(q > 0, q * log2(2 * q / (p + q)), 0)) / 2)) AS distance,
            groupArrayIf((kind, p, q), split = 0 AND kind != '') AS word_shares
        FROM shares GROUP BY split
    )
SELECT (SELECT before FROM counted) AS n_before, (SELECT after FROM counted) AS n_after,
    (SELECT sumIf(length(words), NOT watched) FROM calls) AS words_before, (SELECT sumIf(length(words), watched) FROM calls) AS words_after,
    observed AS js_distance, bound, (1 + arrayCount(distance -> distance >= observed, others)) / (1 + length(others)) AS p,
    arraySlice(arrayReverseSort(word -> word.3 - word.2, real_shares), 1, 10) AS gained,
    arraySlice(arraySort(word -> word.3 - word.2, real_shares), 1, 10) AS lost
FROM
(
    SELECT anyIf(distance, split = 0) AS observed, quantileExactIf(0.95)(distance, split > 0) AS bound,
        groupArrayIf(distance, split > 0) AS others, anyIf(word_shares, split = 0) AS real_shares
    FROM distances
)
WHERE n_before > 0 AND n_after > 0
