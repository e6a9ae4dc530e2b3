-- title: Human labels beside an evaluator's scores
-- answers: Every human label of an evaluation, with what the evaluator said of the same call: what calibration holds
--   against each other.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param metric String -- evaluation name
-- param unit String = '' -- span, trace or conversation; empty for all
-- param version String = '' -- evaluator version, empty for the newest
-- param since_s UInt32 = 31536000 -- labels of so many seconds
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- column unit -- what was judged: span, trace or conversation
-- column trace_id -- the trace; of a conversation its id
-- column span_id -- the call, empty for the whole trace
-- column author -- who labelled
-- column label -- the person's score, 1 and 0 for passed and failed without a score
-- column good -- the person's verdict: pass, fail or unknown
-- column labelled_at -- when
-- column evaluator_version -- the evaluator's version
-- column score -- the evaluator's score, 1 and 0 for passed and failed without a score
-- column passed -- the evaluator's verdict: pass, fail or unknown
-- column sample_weight -- how many calls the labelled one stands for
-- method: join on the judged call.
-- source: own.
WITH
    if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time,
    human AS
    (
        SELECT toString(s.unit) AS unit, if(s.unit = 'conversation', s.conversation_id, s.trace_id) AS trace_id, span_id, author, coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass'))) AS label,
            toString(passed) AS good, created_at, sample_weight
        FROM evaluations AS s
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND s.name = {metric:String} AND ({unit:String} = '' OR s.unit = {unit:String}) AND source = 'human' AND experiment_id = '' AND label IS NOT NULL
            AND created_at >= until_time - toIntervalSecond({since_s:UInt32}) AND created_at < until_time
    ),
    machine AS
    (
        SELECT toString(s.unit) AS unit, if(s.unit = 'conversation', s.conversation_id, s.trace_id) AS trace_id, span_id, evaluator_version, coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass'))) AS value,
            toString(passed) AS verdict, argMax(evaluator_version, (span_time, created_at)) OVER () AS newest
        FROM evaluations AS s
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND s.name = {metric:String} AND ({unit:String} = '' OR s.unit = {unit:String}) AND source IN ('code', 'llm_judge') AND experiment_id = ''
            AND (unit, trace_id, span_id) IN (SELECT unit, trace_id, span_id FROM human)
    )
SELECT unit, trace_id, span_id, author, label, good, created_at AS labelled_at, evaluator_version, value AS score, verdict AS passed, sample_weight
FROM human INNER JOIN (SELECT * FROM machine WHERE evaluator_version = if({version:String} = '', newest, {version:String})) AS machine USING (unit, trace_id, span_id)
ORDER BY labelled_at, trace_id, span_id, author
