-- title: A band around the running mean that may be watched all the time
-- answers: The mean of every score since the start of the period, after each window, with a band that holds at all
--   looks together (unlike one interval a window, one of twenty of which misses).
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param of Identifier = evaluations -- evaluations, or usage for error_rate, latency, ttft (logarithms of ms), cost, input_tokens, output_tokens
-- param metric String = '' -- evaluation name, empty for all
-- param unit String = '' -- span, trace or conversation; empty for all, each by itself
-- param since_s UInt32 = 604800 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param window_s UInt32 = 86400 -- length of a window in seconds
-- param alpha Float64 = 0.05 -- probability that the band ever misses
-- param rho Float64 = 0.1 -- where the band is tightest: about 8 / rho^2 scores
-- column metric -- evaluation name
-- column unit -- what the scores judge: span, trace or conversation
-- column evaluator_version -- the newest version; scores of other versions are left out
-- column window_start -- start of the window
-- column n -- scores since the start of the period; those of one conversation in one window count as one
-- column effective_n -- how many equally weighted scores they are worth (Kish)
-- column mean -- their weighted mean
-- column sd -- their weighted standard deviation
-- column low -- lower end of the band
-- column high -- upper end of the band
-- method: asymptotic confidence sequence on Kish's effective n.
-- source: Waudby-Smith et al. (2021); evaluators/statistics/sequential.py is its oracle.
WITH
    -- means of scores between 0 and 1 lie there, too
    ((x, on_unit) -> if(on_unit, greatest(0, least(1, x)), x)) AS cut,
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    judged AS
    (
        SELECT (s.name, toString(s.unit)) AS name, conversation_id AS conversation, evaluator_version, span_time, created_at, sample_weight AS w,
            toStartOfInterval(toDateTime64(span_time, 3, 'UTC'), toIntervalSecond({window_s:UInt32}), toDateTime64('1970-01-05', 3, 'UTC')) AS window,
            assumeNotNull(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS y
        FROM {of:Identifier} AS s
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND ({metric:String} = '' OR s.name = {metric:String}) AND ({unit:String} = '' OR s.unit = {unit:String})
            AND span_time >= until_time - toIntervalSecond({since_s:UInt32}) AND span_time < until_time
            AND experiment_id = '' AND source != 'human' AND sample_weight > 0
            AND (score IS NOT NULL OR passed != 'unknown')
    ),
    -- scores of one conversation move together: their weighted mean counts once, with all their weight
    scored AS
    (
        SELECT name, evaluator_version, window, span_time, created_at, y, w FROM judged WHERE conversation = ''
        UNION ALL
        SELECT name, evaluator_version, window, max(j.span_time) AS span_time, max(j.created_at) AS created_at, sum(j.w * j.y) / sum(j.w) AS y, sum(j.w) AS w
        FROM judged AS j WHERE conversation != '' GROUP BY name, evaluator_version, window, conversation
    ),
    newest AS (SELECT name, argMax(evaluator_version, (span_time, created_at)) AS evaluator_version FROM scored GROUP BY name),
    -- sums around one score of the metric, so that squares of large numbers do not cancel
    centred AS
    (
        SELECT name, evaluator_version, window, w, y, any(y) OVER (PARTITION BY name) AS centre
        FROM scored WHERE (name, evaluator_version) IN (SELECT name, evaluator_version FROM newest)
    ),
    running AS
    (
        SELECT name, any(evaluator_version) AS version_used, window, any(centre) AS middle,
            sum(count()) OVER until_here AS n, sum(sum(w)) OVER until_here AS total, sum(sum(w * w)) OVER until_here AS squared_weights, min(min(y)) OVER until_here >= 0 AND max(max(y)) OVER until_here <= 1 AS on_unit,
            sum(sum(w * (y - centre))) OVER until_here / total AS shift,
            sum(sum(w * pow(y - centre, 2))) OVER until_here / total AS second
        FROM centred GROUP BY name, window
        WINDOW until_here AS (PARTITION BY name ORDER BY window ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    )
SELECT name.1 AS metric, name.2 AS unit, version_used AS evaluator_version, window AS window_start, n, pow(total, 2) / squared_weights AS effective_n,
    middle + shift AS mean, sqrt(greatest(0, second - shift * shift) * n / greatest(n - 1, 1)) AS sd,
    cut(mean - radius, on_unit) AS low, cut(mean + radius, on_unit) AS high
FROM
(
    SELECT *, pow(total, 2) / squared_weights AS worth, pow({rho:Float64}, 2) AS r,
        sqrt(greatest(0, second - shift * shift) * n / greatest(n - 1, 1))
            * sqrt(2 * (worth * r + 1) / (pow(worth, 2) * r) * log(sqrt(worth * r + 1) / {alpha:Float64})) AS radius
    FROM running
)
ORDER BY metric, unit, window_start
