-- title: Experiments
-- answers: Which runs are there, and how did they end?
-- param project String = '' -- one project, '' for all
-- column n -- results
-- column passed -- results that passed
-- column unknown -- results without a verdict
-- column metrics -- the evaluators of the suite as JSON: direction, threshold, kind
SELECT e.*, r.n AS n, r.passed AS passed, r.unknown AS unknown, r.cost_usd AS cost_usd
FROM (SELECT experiment_id, name, dataset, dataset_hash, target, suite, model, prompt_name, prompt_version, git_sha, status, started_at, finished_at, JSONExtractRaw(config, 'suite') AS metrics
      FROM experiments WHERE ({project:String} = '' OR project = {project:String})) AS e
LEFT JOIN (SELECT experiment_id, count() AS n, countIf(t.passed = 'pass') AS passed, countIf(t.passed = 'unknown') AS unknown, sum(t.cost_usd) AS cost_usd
      FROM experiment_results AS t WHERE ({project:String} = '' OR project = {project:String}) GROUP BY experiment_id) AS r USING (experiment_id)
ORDER BY started_at DESC
LIMIT 100
