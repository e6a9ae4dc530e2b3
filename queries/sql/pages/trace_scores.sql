-- title: Scores of traces
-- answers: What was each of these traces judged?
-- param ids Array(String) = [] -- trace ids
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- spans from when on, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- spans until when, UTC
-- param project String = '' -- one project, '' for all
-- column error -- why there is no score, '' when there is one
SELECT
    trace_id, span_id, name, evaluator_version, toString(source) AS source, author, score, label, toString(passed) AS passed,
    explanation, error, judge_model, judge_cost_usd, judge_trace_id, sample_weight, metadata, created_at
FROM evaluations
WHERE trace_id IN {ids:Array(String)} AND experiment_id = ''
    AND span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)} AND ({project:String} = '' OR project = {project:String})
ORDER BY name, created_at
LIMIT 2000
