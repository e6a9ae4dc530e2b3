-- title: When each alert fired
-- answers: In which stretches of the last days was each rule firing?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- column rule_id -- the rule
-- column state -- firing, resolved or error
-- column began -- start of the stretch
-- column ended -- its end, NULL while it lasts
SELECT rule_id, toString(state) AS state, started_at AS began, ended_at AS ended
FROM alerts
WHERE ({project:String} = '' OR project = {project:String}) AND state != 'ok'
    AND started_at < {end:DateTime64(3)} AND coalesce(ended_at, now64(3)) >= {start:DateTime64(3)}
ORDER BY began DESC
LIMIT 2000
