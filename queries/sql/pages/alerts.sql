-- title: Alerts
-- answers: What fired when, why, and is it over?
-- param project String = '' -- one project, '' for all
-- param rule String = '' -- one rule, '' for all
-- column value -- what was measured in the window
-- column baseline -- what it was held against
SELECT alert_id, rule_id, name, severity, toString(state) AS state, started_at, ended_at, window_from, window_to, value, baseline, low, high,
    p_value, n_base, n_now, labels, message
FROM alerts
WHERE ({project:String} = '' OR project = {project:String}) AND ({rule:String} = '' OR rule_id = {rule:String})
ORDER BY started_at DESC
LIMIT 200
