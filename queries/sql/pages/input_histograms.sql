-- title: Inputs before and after, as histograms
-- answers: Where did the distribution of lengths, tokens or latency gain, and which calls lie there?
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param since_s UInt32 = 604800 -- length of the period in seconds, compared with as long a time before it
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param sample UInt32 = 20000 -- about so many calls of both sides where there are more, drawn by hash of their ids
-- column feature -- input_characters, output_characters, input_tokens, output_tokens or duration_ms
-- column low -- start of the bin
-- column high -- its end; the first and last bin hold what lies beyond, too
-- column share_before -- weighted share of the calls before
-- column share_after -- weighted share of the calls in the period
-- column examples -- up to three calls of the period in the bin
-- method: sixteen bins of equal width between the 1 % and the 99 % quantile of both sides together.
WITH
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    until_time - toIntervalSecond({since_s:UInt32}) AS since_time,
    since_time - toIntervalSecond({since_s:UInt32}) AS baseline_time,
    calls AS
    (
        SELECT start_time >= since_time AS watched, trace_id, span_id, sample_weight AS w, input, output, input_tokens, output_tokens, duration_ns
        FROM spans
        WHERE project = {project:String} AND start_time >= baseline_time AND start_time < until_time
            AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND role = 'call' AND operation != 'embeddings' AND sample_weight > 0
            AND sipHash64(trace_id, span_id) % assumeNotNull((
                SELECT greatest(1, intDiv(count(), {sample:UInt32})) FROM spans
                WHERE project = {project:String} AND start_time >= baseline_time AND start_time < until_time AND role = 'call' AND operation != 'embeddings')) = 0
    ),
    measured AS
    (
        SELECT watched, trace_id, span_id, w, pair.1 AS feature, assumeNotNull(pair.2) AS x
        FROM calls
        ARRAY JOIN [
            ('input_characters', toFloat64(lengthUTF8(input))), ('output_characters', toFloat64(lengthUTF8(output))),
            ('input_tokens', toFloat64(input_tokens)), ('output_tokens', toFloat64(output_tokens)), ('duration_ms', duration_ns / 1e6)] AS pair
        WHERE pair.2 IS NOT NULL -- token counts that nobody sent
    ),
    ends AS
    (
        SELECT feature, quantile(0.01)(x) AS lowest, quantile(0.99)(x) AS highest, sumIf(w, NOT watched) AS all_before, sumIf(w, watched) AS all_after
        FROM measured GROUP BY feature HAVING all_before > 0 AND all_after > 0 AND highest > lowest
    )
SELECT feature, first + bin * width AS low, first + (bin + 1) * width AS high,
    weight_before / total_before AS share_before, weight_after / total_after AS share_after, n_before, n_after, examples
FROM
(
    SELECT feature, any(lowest) AS first, any((highest - lowest) / 16) AS width, any(all_before) AS total_before, any(all_after) AS total_after,
        toUInt8(least(15, greatest(0, floor((x - lowest) / ((highest - lowest) / 16))))) AS bin,
        sumIf(w, NOT watched) AS weight_before, sumIf(w, watched) AS weight_after, countIf(NOT watched) AS n_before, countIf(watched) AS n_after,
        groupArrayIf(3)((trace_id, span_id, x), watched) AS examples
    FROM measured INNER JOIN ends USING (feature)
    GROUP BY feature, bin
)
ORDER BY feature, bin
