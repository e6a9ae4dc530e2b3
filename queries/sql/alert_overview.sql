-- title: Alert rules and their state
-- answers: Which rules watch, what each asks, whether it fires, is silenced or broken.
-- param project String = '' -- project, empty for all
-- column rule -- the rule's name
-- column severity -- high, medium, low or info
-- column state -- firing, ok, error or off
-- column firing -- alerts that fire now
-- column last_alert -- when one began last
-- column silenced_until -- no notifications until then
-- column query -- the named query
-- column parameters -- its parameters (JSON)
-- column condition -- the condition on its rows
-- column interval_s -- seconds between two evaluations
-- column project -- the project it watches
-- column problem -- why it is off
-- column insufficient_data -- which scores its detector cannot watch yet, and why
-- method: rows as written by the service when it starts.
-- source: own.
SELECT rule_id AS rule, severity, multiIf(NOT enabled, 'off', open > 0, 'firing', broken > 0, 'error', 'ok') AS state,
    open AS firing, if(begun = 0, NULL, last) AS last_alert, silenced_until, query, parameters, condition, interval_s, r.project AS project,
    if(enabled, '', kind) AS problem, insufficient_data
FROM (SELECT * FROM alert_rules WHERE {project:String} = '' OR project = {project:String}) AS r
LEFT JOIN
(
    SELECT project, rule_id, countIf(state = 'firing') AS open, countIf(state = 'error') AS broken, max(started_at) AS last, count() AS begun
    FROM alerts GROUP BY project, rule_id
) AS a ON r.rule_id = a.rule_id AND r.project = a.project
ORDER BY state = 'ok', rule
