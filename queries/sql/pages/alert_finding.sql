-- title: Why an alert was raised
-- answers: What was found as the reason when an alert fired, as JSON; empty where nothing was asked.
-- param project String = '' -- one project, '' for all
-- param alert String = '' -- the alert's id
-- column finding -- what `evalspan why` said then
SELECT JSONExtractRaw(details, 'finding') AS finding
FROM alerts
WHERE ({project:String} = '' OR project = {project:String}) AND alert_id = {alert:String}
LIMIT 1
