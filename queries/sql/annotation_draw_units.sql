-- title: The traces or conversations to label this week
-- answers: A random sample of the traces or conversations that an evaluator judged in a period, the same for everybody who
--   asks: each with the probability with which it was drawn, so that the labels can speak for all of them.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param metric String -- evaluation that is labelled
-- param author String = '' -- who labels; what this person has labelled is marked
-- param since String -- start of the period (ISO 8601, UTC)
-- param until String -- end of the period (ISO 8601, UTC)
-- param count UInt32 = 20 -- how many
-- column unit -- what is labelled: trace or conversation
-- column trace_id -- the trace, empty for a conversation
-- column span_id -- empty: the whole is labelled
-- column conversation_id -- the conversation, if any
-- column start_time -- when its span of reference began
-- column service -- the service
-- column environment -- its environment
-- column request_model -- the model
-- column prompt_name -- the prompt
-- column prompt_version -- its version
-- column system_hash -- its fingerprint
-- column sample_weight -- how many of the application's each of the population stands for
-- column place -- place in the draw, from 1
-- column population -- traces or conversations that it was drawn from
-- column probability -- with which it was drawn from them
-- column done -- 1 if the author has labelled it
-- method: simple random sampling without replacement, ordered by a hash of the id and the period.
-- source: Cochran, Sampling Techniques (1977), chapter 2.
WITH
    parseDateTime64BestEffort({since:String}, 3, 'UTC') AS since_time,
    parseDateTime64BestEffort({until:String}, 3, 'UTC') AS until_time,
    labelled AS
    (
        SELECT toString(unit) AS unit, trace_id, if(unit = 'conversation', conversation_id, '') AS conversation FROM evaluations
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND name = {metric:String} AND unit != 'span' AND source = 'human' AND author = {author:String} AND experiment_id = ''
    ),
    judged AS
    (
        SELECT toString(e.unit) AS unit, e.trace_id AS trace_id, if(e.unit = 'conversation', e.conversation_id, '') AS conversation,
            any(e.conversation_id) AS conversation_id, max(e.span_time) AS start_time, any(e.service) AS service, any(e.environment) AS environment,
            any(e.request_model) AS request_model, any(e.prompt_name) AS prompt_name, any(e.prompt_version) AS prompt_version, any(e.system_hash) AS system_hash,
            max(e.sample_weight) AS weight
        FROM evaluations AS e
        WHERE project = {project:String} AND ({service:String} = '' OR e.service = {service:String}) AND ({environment:String} = '' OR e.environment = {environment:String})
            AND name = {metric:String} AND e.unit != 'span' AND source IN ('code', 'llm_judge') AND experiment_id = ''
            AND (score IS NOT NULL OR passed != 'unknown') AND e.sample_weight > 0 AND span_time >= since_time AND span_time < until_time
        GROUP BY unit, trace_id, conversation
    ),
    drawn AS
    (
        SELECT *, row_number() OVER (ORDER BY sipHash64(trace_id, conversation, {since:String})) AS place, count() OVER () AS population FROM judged
    )
SELECT unit, trace_id, '' AS span_id, conversation_id, start_time, service, environment, request_model, prompt_name, prompt_version, system_hash,
    weight AS sample_weight, place, population, least(1, {count:UInt32} / population) AS probability,
    (unit, trace_id, conversation) IN (SELECT unit, trace_id, conversation FROM labelled) AS done
FROM drawn WHERE place <= {count:UInt32}
ORDER BY place
