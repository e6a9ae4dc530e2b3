-- title: Scores of listed traces
-- answers: What was each of these traces judged, in short?
-- param ids Array(String) = [] -- trace ids
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- spans from when on, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- spans until when, UTC
-- param project String = '' -- one project, '' for all
-- column why -- the error or the explanation, shortened
SELECT trace_id, name, score, toString(label) AS label, toString(passed) AS passed, error != '' AS unscored,
    leftUTF8(if(error != '', error, explanation), 160) AS why
FROM evaluations
WHERE trace_id IN {ids:Array(String)} AND experiment_id = '' AND sample_weight > 0 AND span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
LIMIT 5000
