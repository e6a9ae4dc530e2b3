-- title: Alert rules
-- answers: What is watched, and in which state is it?
-- param project String = '' -- one project, '' for all
-- column state -- firing while one of its alerts is, else that of its newest alert: resolved or error; empty without one
-- column insufficient_data -- which scores its detector cannot watch yet, and why
SELECT r.*, a.state AS state, a.started_at AS since, a.message AS message, a.fired AS fired
FROM (SELECT project, rule_id, name, kind, query, parameters, condition, severity, interval_s, enabled, silenced_until, insufficient_data
      FROM alert_rules WHERE ({project:String} = '' OR project = {project:String})) AS r
LEFT JOIN (SELECT project, rule_id, toString(argMax(t.state, (t.state = 'firing', t.started_at))) AS state, argMax(t.message, (t.state = 'firing', t.started_at)) AS message, max(t.started_at) AS started_at, count() AS fired
      FROM alerts AS t WHERE ({project:String} = '' OR project = {project:String}) GROUP BY project, rule_id) AS a ON r.rule_id = a.rule_id AND r.project = a.project
ORDER BY state = 'firing' DESC, name
