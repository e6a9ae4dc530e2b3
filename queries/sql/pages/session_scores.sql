-- title: Scores of a whole conversation
-- answers: How was the conversation judged as one?
-- param session String = '' -- the conversation id
-- param project String = '' -- one project, '' for all
SELECT name, evaluator_version, toString(source) AS source, author, score, toString(label) AS label, toString(passed) AS passed, explanation, error, created_at
FROM evaluations
WHERE conversation_id = {session:String} AND trace_id = '' AND experiment_id = '' AND ({project:String} = '' OR project = {project:String})
ORDER BY name, created_at
LIMIT 200
