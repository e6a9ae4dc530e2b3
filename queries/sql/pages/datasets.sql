-- title: Datasets
-- answers: Which datasets are there, how many examples of which kind?
-- param project String = '' -- one project, '' for all
-- column reviewed -- examples with two different reviewers
-- column pending -- examples that nobody has reviewed
SELECT dataset, count() AS n, countIf(partition = 'golden') AS golden, countIf(partition = 'regression') AS regression,
    countIf(partition = 'adversarial') AS adversarial, countIf(partition = 'distribution') AS distribution,
    countIf(length(arrayDistinct(arrayMap(r -> lower(r), reviewers))) >= 2) AS reviewed, countIf(JSONExtractString(metadata, 'review') = 'pending') AS pending,
    countIf(source_trace_id != '') AS from_traces, max(fromUnixTimestamp64Micro(toInt64(version), 'UTC')) AS changed
FROM examples
WHERE ({project:String} = '' OR project = {project:String})
GROUP BY dataset ORDER BY dataset
