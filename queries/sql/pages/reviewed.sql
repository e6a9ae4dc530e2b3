-- title: Reviewed failures
-- answers: Which failing traces has somebody decided on?
-- param project String = '' -- one project, '' for all
-- column label -- kept or skipped
SELECT trace_id, label, author, created_at
FROM evaluations
WHERE source = 'human' AND name = 'review' AND ({project:String} = '' OR project = {project:String})
