-- title: Spans picked for labelling
-- answers: Which spans did somebody pick in the list for people to judge?
-- param project String = '' -- one project, '' for all
-- param name String = '' -- what is to be judged
-- param author String = '' -- who judges
-- column picked_by -- who picked it
-- column done -- 1 when this author has judged it
-- method: a pick is a row of evaluations named queued, with weight 0: it speaks for nothing, so no estimate counts it.
SELECT project, trace_id, span_id, max(author) AS picked_by, min(created_at) AS picked_at,
    (trace_id, span_id) IN (SELECT trace_id, span_id FROM evaluations
        WHERE source = 'human' AND name = {name:String} AND author = {author:String}) AS done
FROM evaluations
WHERE name = 'queued' AND source = 'human' AND label = {name:String} AND ({project:String} = '' OR project = {project:String})
GROUP BY project, trace_id, span_id
ORDER BY picked_at, trace_id, span_id
LIMIT 500
