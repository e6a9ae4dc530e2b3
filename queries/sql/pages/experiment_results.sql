-- title: The results of experiments
-- answers: What did each run make of each example?
-- param project String = '' -- one project, '' for all
-- param ids Array(String) = [] -- experiment ids
-- column scores -- evaluator and value
-- column weight -- how many calls the example stands for, 1 for one made by hand
-- column cluster -- examples of one cluster are not independent, '' stands alone
SELECT experiment_id, example_id, repeat, partition, output, error, toString(passed) AS passed, failure_reason, scores, latency_ms, cost_usd, trace_id,
    if(JSONExtractFloat(metrics, 'weight') > 0, JSONExtractFloat(metrics, 'weight'), 1) AS weight, JSONExtractString(metrics, 'cluster') AS cluster
FROM experiment_results
WHERE experiment_id IN {ids:Array(String)} AND ({project:String} = '' OR project = {project:String})
ORDER BY example_id, experiment_id, repeat
LIMIT 20000
