-- title: The rubric of an evaluator
-- answers: By what does the newest version of this evaluator judge?
-- param project String = '' -- one project, '' for all
-- param name String = '' -- the evaluator
-- column rubric -- in words
SELECT evaluator_version, toString(unit) AS unit, toString(direction) AS direction, threshold, rubric, created_at
FROM evaluator_rubrics FINAL
WHERE name = {name:String} AND rubric != ''
    AND project = {project:String} -- if project
ORDER BY created_at DESC LIMIT 1
