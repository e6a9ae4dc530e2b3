-- title: Saved views
-- answers: Which addresses did the team name?
-- param project String = '' -- one project, '' for all
-- column name -- its name
-- column address -- path and parameters
SELECT project, view_id, name, address, author, created_at
FROM saved_views
WHERE 1
    AND project = {project:String} -- if project
ORDER BY created_at, view_id
LIMIT 60
