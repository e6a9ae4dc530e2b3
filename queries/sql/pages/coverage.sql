-- title: Share of the model calls that was evaluated
-- answers: How much of the traffic do the scores speak of?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- column spans -- model calls kept
-- column estimated_calls -- model calls they are estimated to stand for, by sample weight
-- column evaluated -- model calls kept that have at least one evaluation
-- method: sets of 64-bit hashes of the ids: half the time, and a false match about once in 10^13 calls.
SELECT count() AS spans, sum(sample_weight) AS estimated_calls,
    countIf(cityHash64(trace_id, span_id) IN (SELECT cityHash64(trace_id, span_id) FROM evaluations WHERE source != 'human' AND span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND experiment_id = '')
        OR cityHash64(trace_id) IN (SELECT cityHash64(trace_id) FROM evaluations WHERE span_id = '' AND source != 'human' AND span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND experiment_id = '')) AS evaluated
FROM spans
WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND ({service:String} = '' OR service = {service:String}) AND role = 'call' AND operation != 'embeddings'
SETTINGS final = 0
