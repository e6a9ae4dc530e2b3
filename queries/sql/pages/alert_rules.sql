-- title: Alert rules
-- answers: What is watched, and in which state is it?
-- param project String = '' -- one project, '' for all
-- column state -- of its newest alert: firing, resolved, error or ok
SELECT r.*, a.state AS state, a.started_at AS since, a.message AS message, a.fired AS fired
FROM (SELECT project, rule_id, name, kind, query, parameters, condition, severity, interval_s, enabled, silenced_until
      FROM alert_rules WHERE ({project:String} = '' OR project = {project:String})) AS r
LEFT JOIN (SELECT rule_id, toString(argMax(t.state, t.started_at)) AS state, argMax(t.message, t.started_at) AS message, max(t.started_at) AS started_at, count() AS fired
      FROM alerts AS t WHERE ({project:String} = '' OR project = {project:String}) GROUP BY rule_id) AS a USING (rule_id)
ORDER BY state = 'firing' DESC, name
