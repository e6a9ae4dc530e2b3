-- title: The examples of a dataset
-- answers: What is in this dataset, and where did it come from?
-- param project String = '' -- one project, '' for all
-- param dataset String = '' -- the dataset
-- param partition String = '' -- one partition, '' for all
-- param q String = '' -- text in the input or the expected output
-- column input -- JSON object
SELECT project, example_id, toString(partition) AS partition, input, expected_output, metadata, tags, root_cause, fix, reviewers, source_trace_id,
    source_span_id, reason, content_hash, created_at, fromUnixTimestamp64Micro(toInt64(version), 'UTC') AS changed
FROM examples
WHERE dataset = {dataset:String} AND ({project:String} = '' OR project = {project:String})
    AND ({partition:String} = '' OR toString(partition) = {partition:String})
    AND ({q:String} = '' OR input ILIKE concat('%', {q:String}, '%') OR expected_output ILIKE concat('%', {q:String}, '%'))
ORDER BY partition, created_at, example_id
LIMIT 400
