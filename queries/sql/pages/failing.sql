-- title: Evaluators that failed
-- answers: Which evaluators failed spans in the range, and how many?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- column n -- failures it stands for, by sample weight
SELECT name, round(sum(sample_weight)) AS n
FROM evaluations
WHERE span_time >= {start:DateTime64(3)} AND span_time < {end:DateTime64(3)}
    AND ({project:String} = '' OR project = {project:String})
    AND ({environment:String} = '' OR environment = {environment:String})
    AND ({service:String} = '' OR service = {service:String})
    AND passed = 'fail' AND experiment_id = ''
GROUP BY name ORDER BY n DESC LIMIT 8
