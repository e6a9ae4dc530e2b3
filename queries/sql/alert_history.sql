-- title: Alerts that were raised
-- answers: Which alerts fired, when, on what numbers, and when they were resolved.
-- param project String = default -- project
-- param rule String = '' -- rule name, empty for all
-- param since_s UInt32 = 604800 -- length of the period in seconds
-- param open_only UInt8 = 0 -- 1 shows only those that are firing
-- column alert_id -- the alert
-- column rule -- the rule that raised it
-- column name -- what it is about: the rule, and the columns it is kept apart by
-- column severity -- high, medium, low or info
-- column state -- firing, resolved or error
-- column started_at -- when it began
-- column ended_at -- when it was resolved
-- column window_from -- start of the window that raised it
-- column window_to -- end of that window, or when it was resolved
-- column value -- the number that raised it
-- column baseline -- what it is compared with
-- column low -- lower end of the number's interval
-- column high -- upper end
-- column p_value -- where the query has one
-- column n_base -- values in the baseline
-- column n_now -- values in the window
-- column message -- the sentence that was sent
-- column labels -- the columns that it is kept apart by
-- column details -- the query, its row and traces to read (JSON)
-- method: rows as written by the watcher.
-- source: own.
SELECT alert_id, rule_id AS rule, name, severity, toString(state) AS state, started_at, ended_at, window_from, window_to, value, baseline, low, high, p_value,
    n_base, n_now, message, labels, details
FROM alerts
WHERE project = {project:String} AND ({rule:String} = '' OR rule_id = {rule:String})
    AND ({open_only:UInt8} = 0 AND started_at >= now64(3) - toIntervalSecond({since_s:UInt32}) OR state = 'firing')
ORDER BY started_at DESC
