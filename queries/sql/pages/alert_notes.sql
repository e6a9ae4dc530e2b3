-- title: Notes on an alert or finding
-- answers: Who looks after it, and what was found?
-- param about String = '' -- an alert's id or a finding's key, '' for all
-- param project String = '' -- one project, '' for all
-- column kind -- acknowledged or note
SELECT about, kind, author, note, created_at
FROM alert_notes
WHERE 1
    AND about = {about:String} -- if about
    AND project = {project:String} -- if project
ORDER BY created_at
LIMIT 500
