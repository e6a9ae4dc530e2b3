-- title: Calls, errors, latency, tokens and cost over time
-- answers: What the model calls of every window amounted to, as if none had been dropped by sampling; optionally split
--   by a dimension.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param by String = '' -- empty for no split, or service, environment, provider, operation, request_model, response_model, prompt_name, prompt_version, system_hash
-- param since_s UInt32 = 604800 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param window_s UInt32 = 86400 -- length of a window in seconds
-- column value -- the dimension's value, empty without a split
-- column window_start -- start of the window
-- column n -- stored calls
-- column calls -- estimated calls, the sum of the weights
-- column effective_n -- what the stored calls are worth (Kish)
-- column error_rate -- weighted share of calls that failed
-- column error_low -- lower end of its 95 % Wilson interval, on the effective n
-- column error_high -- upper end
-- column latency_p50_ms -- weighted quantile of the duration
-- column latency_p95_ms -- weighted quantile
-- column latency_p99_ms -- weighted quantile
-- column ttft_p50_s -- weighted median of the time to the first chunk, of streamed calls
-- column input_tokens -- estimated total
-- column output_tokens -- estimated total
-- column cost_usd -- estimated total of the calls whose price is known
-- column cost_low -- lower end of the 95 % interval of that total, for what sampling left out
-- column cost_high -- upper end
-- column share_unpriced -- weighted share of the calls whose price is not known; a failed call without tokens has none
-- method: Horvitz-Thompson totals; weighted quantiles are exact up to weights rounded to 1/1024.
-- source: Horvitz and Thompson (1952); Wilson (1927).
WITH
    1.959963984540054 AS z,
    pow(z, 2) AS zz,
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    calls_of_windows AS
    (
        SELECT toStartOfInterval(toDateTime64(start_time, 3, 'UTC'), toIntervalSecond({window_s:UInt32}), toDateTime64('1970-01-05', 3, 'UTC')) AS window,
            multiIf({by:String} = '', '', {by:String} = 'service', toString(service), {by:String} = 'environment', toString(environment),
                {by:String} = 'provider', toString(provider), {by:String} = 'operation', toString(operation),
                {by:String} = 'request_model', toString(if(request_model != '', request_model, response_model)), {by:String} = 'response_model', toString(response_model),
                {by:String} = 'prompt_name', toString(prompt_name), {by:String} = 'prompt_version', toString(prompt_version),
                {by:String} = 'system_hash', toString(system_hash),
                toString(throwIf(1, 'by must be service, environment, provider, operation, request_model, response_model, prompt_name, prompt_version or system_hash'))) AS value,
            count() AS n, sum(sample_weight) AS calls, pow(calls, 2) / sum(pow(sample_weight, 2)) AS effective_n,
            sumIf(sample_weight, status = 'ERROR') / calls AS error_rate,
            quantilesExactWeighted(0.5, 0.95, 0.99)(duration_ns / 1e6, toUInt64(round(sample_weight * 1024))) AS latency,
            quantileExactWeightedIf(0.5)(assumeNotNull(ttft_s), toUInt64(round(sample_weight * 1024)), ttft_s > 0) AS ttft,
            countIf(ttft_s > 0) AS streamed,
            sum(ifNull(input_tokens, 0) * sample_weight) AS input_tokens_total, sum(ifNull(output_tokens, 0) * sample_weight) AS output_tokens_total,
            sum(ifNull(cost_usd, 0) * sample_weight) AS cost,
            sqrt(sum((1 - 1 / greatest(sample_weight, 1)) * pow(ifNull(cost_usd, 0) * sample_weight, 2))) AS cost_error,
            sumIf(sample_weight, cost_usd IS NULL AND NOT (status = 'ERROR' AND input_tokens IS NULL)) / calls AS share_unpriced
        FROM spans
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND role = 'call' AND sample_weight > 0
            AND start_time >= until_time - toIntervalSecond({since_s:UInt32}) AND start_time < until_time
        GROUP BY window, value
    )
SELECT value, window AS window_start, n, calls, effective_n, error_rate,
    if(error_rate = 0, 0, greatest(0, (error_rate * effective_n + zz / 2) / (effective_n + zz) - z / (effective_n + zz) * sqrt(effective_n * error_rate * (1 - error_rate) + zz / 4))) AS error_low,
    least(1, (error_rate * effective_n + zz / 2) / (effective_n + zz) + z / (effective_n + zz) * sqrt(effective_n * error_rate * (1 - error_rate) + zz / 4)) AS error_high,
    latency[1] AS latency_p50_ms, latency[2] AS latency_p95_ms, latency[3] AS latency_p99_ms,
    if(streamed = 0, NULL, ttft) AS ttft_p50_s, input_tokens_total AS input_tokens, output_tokens_total AS output_tokens,
    cost AS cost_usd, greatest(0, cost - z * cost_error) AS cost_low, cost + z * cost_error AS cost_high, share_unpriced
FROM calls_of_windows
ORDER BY value, window_start
