-- title: Spans to label
-- answers: Which spans should a person judge next, drawn so that everyone had a known chance?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param name String = '' -- what is judged
-- param author String = '' -- who judges; what they have judged is left out
-- param rows UInt32 = 20 -- size of the draw
-- column drawn -- size of the draw
-- column total -- model calls it was drawn from
-- column done -- 1 when this author has judged it
-- method: order by a hash of trace, span and name: a simple random draw, the same for every annotator, so that they overlap
WITH drawn AS
(
    SELECT project, trace_id, span_id, start_time, service, environment, request_model, prompt_name, prompt_version, system_hash, sample_weight,
        count() OVER () AS total, least({rows:UInt32}, total) AS drawn
    FROM spans
    WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
    AND environment = {environment:String} -- if environment
    AND service = {service:String} -- if service
        AND role = 'call' AND operation != 'embeddings' AND output != ''
    ORDER BY cityHash64(trace_id, span_id, {name:String})
    LIMIT {rows:UInt32}
)
SELECT drawn.*, (trace_id, span_id) IN (SELECT trace_id, span_id FROM evaluations
        WHERE source = 'human' AND name = {name:String} AND author = {author:String}) AS done
FROM drawn
ORDER BY cityHash64(trace_id, span_id, {name:String})
