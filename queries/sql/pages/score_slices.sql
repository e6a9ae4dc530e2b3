-- title: One score by slice
-- answers: Which version, model, segment or service is worse than the mean shows?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param name String = '' -- an evaluator
-- param unit String = span -- span, trace or conversation: what was judged
-- param source String = '' -- code, llm_judge, human, user_feedback or sdk, '' for all but human
-- column dimension -- what is sliced by
-- column value -- the slice
-- column n -- scores
-- column traces -- stored traces with such a score
-- column unscored -- evaluations that gave none
-- column effective_n -- what the scores are worth (Kish)
-- column mean -- weighted mean
-- column low -- 95 % interval, lower end
-- column high -- 95 % interval, upper end
-- method: Hajek mean with weights 1/probability; interval linearised, for pass and fail Wilson's on Kish's effective size.
SELECT dimension, value, n, traces, unscored, effective_n, mean,
    -- 95 %: Wilson's score interval on the effective size for pass and fail, else the linearised normal one
    (mean + 1.9207 / effective_n) / (1 + 3.8415 / effective_n) AS wilson_middle,
    1.96 / (1 + 3.8415 / effective_n) * sqrt(mean * (1 - mean) / effective_n + 0.9604 / pow(effective_n, 2)) AS wilson_half,
    if(n < 2, NULL, multiIf(two_valued, greatest(0, wilson_middle - wilson_half), on_unit, greatest(0, mean - 1.96 * standard_error), mean - 1.96 * standard_error)) AS low,
    if(n < 2, NULL, multiIf(two_valued, least(1, wilson_middle + wilson_half), on_unit, least(1, mean + 1.96 * standard_error), mean + 1.96 * standard_error)) AS high
FROM
(
    SELECT pair.1 AS dimension, pair.2 AS value, sum(scored) AS n, uniqExactMerge(judged_) AS traces, sum(unscored_) AS unscored, sum(w_) AS total, pow(total, 2) / sum(ww_) AS effective_n,
        sum(wy_) / total AS mean,
        sqrt(greatest(0, sum(wwyy_) - 2 * mean * sum(wwy_) + mean * mean * sum(ww_)) * n / greatest(n - 1, 1)) / total AS standard_error,
        min(two_) AS two_valued, min(least_) >= 0 AND max(most_) <= 1 AS on_unit
    FROM
    (
        -- Rows are added up by all dimensions together; these few sums are what is taken apart by each of them.
        SELECT count(y) AS scored, uniqExactStateIf(judged, y IS NOT NULL) AS judged_, countIf(y IS NULL) AS unscored_, sumIf(w, y IS NOT NULL) AS w_, sumIf(w * w, y IS NOT NULL) AS ww_,
            sum(w * y) AS wy_, sum(w * w * y) AS wwy_, sum(w * w * y * y) AS wwyy_, min(y IN (0, 1)) AS two_, min(y) AS least_, max(y) AS most_,
            arrayJoin([('prompt', if(prompt_version = '', '', trimLeft(concat(prompt_name, ' ', prompt_version)))), ('model', toString(request_model)),
                ('segment', toString(segment)), ('service', toString(service)), ('environment', toString(environment)), ('evaluator version', toString(evaluator_version))]) AS pair
        FROM (SELECT prompt_name, prompt_version, request_model, segment, service, environment, evaluator_version, cityHash64(if({unit:String} = 'conversation', conversation_id, trace_id)) AS judged, sample_weight AS w,
                coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass'))) AS y
            FROM evaluations
            WHERE name = {name:String} AND unit = {unit:String} AND if({source:String} = '', source != 'human', toString(source) = {source:String}) AND span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
            AND project = {project:String} -- if project
            AND environment = {environment:String} -- if environment
            AND service = {service:String} -- if service
            AND experiment_id = '' AND sample_weight > 0)
        GROUP BY prompt_name, prompt_version, request_model, segment, service, environment, evaluator_version
    )
    WHERE pair.2 != ''
    GROUP BY dimension, value
    HAVING n > 0
)
ORDER BY dimension, mean
LIMIT 8 BY dimension
