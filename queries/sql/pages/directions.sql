-- title: Directions of evaluators
-- answers: Of which evaluators is a lower score the better one, by what they say themselves?
-- param project String = '' -- one project, '' for all
-- column name -- the evaluator
-- column lower -- 1 where lower is better
SELECT name, argMax(direction, created_at) = 'lower' AS lower
FROM evaluator_rubrics FINAL
WHERE 1
    AND project = {project:String} -- if project
GROUP BY name
