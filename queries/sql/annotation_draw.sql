-- title: The calls to label this week
-- answers: A random sample of the calls of a period, the same for everybody who asks: each with the probability with
--   which it was drawn, so that the labels can speak for all calls.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param metric String -- evaluation that is labelled
-- param author String = '' -- who labels; what this person has labelled is marked
-- param since String -- start of the period (ISO 8601, UTC)
-- param until String -- end of the period (ISO 8601, UTC)
-- param count UInt32 = 20 -- how many
-- param evaluated UInt8 = 1 -- 1 draws among the calls that the evaluator has scored, 0 among all
-- column trace_id -- the trace
-- column span_id -- the call
-- column start_time -- when
-- column input -- the messages sent (JSON)
-- column output -- the messages received (JSON)
-- column service -- the service
-- column environment -- its environment
-- column request_model -- the model
-- column prompt_name -- the prompt
-- column prompt_version -- its version
-- column system_hash -- its fingerprint
-- column sample_weight -- how many calls of the application each of the population stands for
-- column place -- place in the draw, from 1
-- column population -- calls that it was drawn from
-- column probability -- with which it was drawn from them
-- column done -- 1 if the author has labelled it
-- method: simple random sampling without replacement, ordered by a hash of the call's id and the period.
-- source: Cochran, Sampling Techniques (1977), chapter 2.
WITH
    parseDateTime64BestEffort({since:String}, 3, 'UTC') AS since_time,
    parseDateTime64BestEffort({until:String}, 3, 'UTC') AS until_time,
    judged AS
    (
        SELECT trace_id, span_id, max(sample_weight) AS weight FROM evaluations
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND name = {metric:String} AND source IN ('code', 'llm_judge') AND experiment_id = ''
            AND (score IS NOT NULL OR passed != 'unknown') AND sample_weight > 0
            AND span_time >= since_time - toIntervalDay(1) AND span_time < until_time + toIntervalDay(1)
        GROUP BY trace_id, span_id
    ),
    labelled AS
    (
        SELECT trace_id, span_id FROM evaluations
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND name = {metric:String} AND source = 'human' AND author = {author:String} AND experiment_id = ''
    ),
    drawn AS
    (
        SELECT trace_id, span_id, row_number() OVER (ORDER BY sipHash64(span_id, trace_id, {since:String})) AS place, count() OVER () AS population
        FROM spans
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND start_time >= since_time AND start_time < until_time AND sample_weight > 0
            AND role = 'call' AND operation != 'embeddings' AND status != 'ERROR'
            AND (trace_id, span_id) IN (SELECT trace_id, span_id FROM judged) -- if evaluated
            -- A turn that only calls tools is no answer. Most begin with words, which is seen without taking them apart.
            AND (match(output, '^\\[\\{"role": ?"[a-z]+", ?"parts": ?\\[\\{"type": ?"text", ?"content": ?"[^"\\\\\\s]')
                OR NOT (startsWith(output, '[') AND position(output, '"parts"') > 0 AND isValidJSON(output)
                AND NOT arrayExists(m -> arrayExists(p -> JSONExtractString(p, 'type') = 'text'
                    AND trimBoth(JSONExtractString(p, 'content')) != '', JSONExtractArrayRaw(m, 'parts')), JSONExtractArrayRaw(output))))
    ),
    -- Found first and read then: a join would read the texts of the whole period.
    (SELECT groupArray((trace_id, span_id, place, population)) FROM drawn WHERE place <= {count:UInt32}) AS chosen
SELECT s.trace_id AS trace_id, s.span_id AS span_id, start_time, input, output, service, environment, request_model, prompt_name, prompt_version, system_hash,
    if(judged.weight > 0, judged.weight, s.sample_weight) AS sample_weight, arrayFirst(c -> c.1 = s.trace_id AND c.2 = s.span_id, chosen).3 AS place, arrayFirst(c -> 1, chosen).4 AS population, least(1, {count:UInt32} / population) AS probability,
    (s.trace_id, s.span_id) IN (SELECT trace_id, span_id FROM labelled) AS done
FROM
(
    SELECT * FROM spans
    WHERE project = {project:String} AND trace_id IN (arrayMap(c -> c.1, chosen)) AND span_id IN (arrayMap(c -> c.2, chosen))
        AND start_time >= since_time AND start_time < until_time AND notEmpty(chosen)
) AS s
LEFT JOIN judged ON judged.trace_id = s.trace_id AND judged.span_id = s.span_id
WHERE place > 0
ORDER BY place
