-- title: Do people agree with the evaluator?
-- answers: Per window how far human labels and an evaluator's scores of the same calls agree, and how old the newest
--   label is: the calibration of the metric and its drift.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param metric String = '' -- evaluation name, empty for all
-- param unit String = '' -- span, trace or conversation; empty for all, each by itself
-- param since_s UInt32 = 7776000 -- length of the period in seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- param window_s UInt32 = 604800 -- length of a window in seconds
-- column metric -- evaluation name
-- column unit -- what the scores judge: span, trace or conversation
-- column evaluator_version -- the evaluator's version
-- column window_start -- start of the window, by the time of the label
-- column pairs -- calls with a score and at least one label (several labels of one call averaged)
-- column people -- annotators
-- column mean_human -- mean label of these calls
-- column mean_evaluator -- mean score of these calls
-- column difference -- evaluator minus human: its bias
-- column standard_error -- of the difference
-- column agreement -- share of calls with the same verdict, where both have one
-- column kappa -- Cohen's kappa of the verdicts, null where either side gave only one verdict
-- column correlation -- Pearson correlation of label and score
-- column newest_label -- when the newest label of this evaluator was given
-- column age_days -- how old it is
-- method: unweighted over labelled calls, which are drawn by probability.
-- source: Cohen (1960); evaluators/statistics/agreement.py is its oracle.
WITH
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    human AS
    (
        SELECT (s.name, toString(s.unit)) AS name, if(s.unit = 'conversation', s.conversation_id, s.trace_id) AS trace_id, span_id, max(created_at) AS labelled_at, groupUniqArray(author) AS authors,
            avg(coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))) AS label,
            if(countIf(passed = 'unknown') = count(), NULL, countIf(passed = 'pass') >= countIf(passed = 'fail')) AS good
        FROM evaluations AS s
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND ({metric:String} = '' OR s.name = {metric:String}) AND ({unit:String} = '' OR s.unit = {unit:String}) AND source = 'human' AND experiment_id = ''
            AND created_at >= until_time - toIntervalSecond({since_s:UInt32}) AND created_at < until_time
        GROUP BY name, trace_id, span_id HAVING label IS NOT NULL
    ),
    machine AS
    (
        SELECT (s.name, toString(s.unit)) AS name, evaluator_version, if(s.unit = 'conversation', s.conversation_id, s.trace_id) AS trace_id, span_id,
            coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass'))) AS y, if(passed = 'unknown', NULL, passed = 'pass') AS ok
        FROM evaluations AS s
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND ({metric:String} = '' OR s.name = {metric:String}) AND ({unit:String} = '' OR s.unit = {unit:String}) AND source IN ('code', 'llm_judge') AND experiment_id = ''
            AND (name, trace_id, span_id) IN (SELECT name, trace_id, span_id FROM human) AND y IS NOT NULL
    ),
    pairs_of AS
    (
        SELECT name, evaluator_version, toStartOfInterval(labelled_at, toIntervalSecond({window_s:UInt32}), toDateTime64('1970-01-05', 3, 'UTC')) AS window, labelled_at, authors,
            assumeNotNull(label) AS h, assumeNotNull(y) AS m, good, ok
        FROM human INNER JOIN machine USING (name, trace_id, span_id)
    ),
    summed AS
    (
        SELECT name, evaluator_version, window, count() AS pairs, length(groupUniqArrayArray(authors)) AS people,
            avg(h) AS mean_human, avg(m) AS mean_evaluator, if(pairs < 2, NULL, stddevSampStable(m - h) / sqrt(pairs)) AS standard_error,
            countIf(good IS NOT NULL AND ok IS NOT NULL) AS verdicts, countIf(good = ok) / verdicts AS agreement,
            avgIf(good, good IS NOT NULL AND ok IS NOT NULL) AS a, avgIf(ok, good IS NOT NULL AND ok IS NOT NULL) AS b,
            a * b + (1 - a) * (1 - b) AS by_chance,
            if(min(h) = max(h) OR min(m) = max(m), NULL, corrStable(h, m)) AS correlation, max(labelled_at) AS newest
        FROM pairs_of GROUP BY name, evaluator_version, window
    )
SELECT name.1 AS metric, name.2 AS unit, evaluator_version, window AS window_start, pairs, people, mean_human, mean_evaluator,
    mean_evaluator - mean_human AS difference, standard_error, if(verdicts = 0, NULL, summed.agreement) AS agreement,
    if(verdicts = 0 OR a IN (0, 1) OR b IN (0, 1), NULL, (summed.agreement - by_chance) / (1 - by_chance)) AS kappa, correlation,
    max(newest) OVER (PARTITION BY name) AS newest_label, dateDiff('second', newest_label, until_time) / 86400 AS age_days
FROM summed
ORDER BY metric, unit, evaluator_version, window_start
