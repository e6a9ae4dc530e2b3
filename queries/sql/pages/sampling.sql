-- title: Sampling in effect
-- answers: By which rule were spans kept, and what does each kept one stand for?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- column rule -- the rule that kept them
-- column kept -- spans stored
-- column estimated_calls -- spans they are estimated to stand for
-- column coverage -- kept / stands for
SELECT if(sample_rule = '', 'everything', sample_rule) AS rule, count() AS kept, sum(sample_weight) AS estimated_calls, kept / estimated_calls AS coverage,
    min(sample_weight) AS least_weight, max(sample_weight) AS most_weight
FROM spans
WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
GROUP BY rule ORDER BY kept DESC LIMIT 20
SETTINGS final = 0
