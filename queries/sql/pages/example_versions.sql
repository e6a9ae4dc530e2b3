-- title: Versions of the examples
-- answers: How did an example read before its last change?
-- param project String = '' -- one project, '' for all
-- param dataset String = '' -- the dataset
-- column is_deleted -- 1 when this version removed it
-- method: versions that the store has not merged away yet
SELECT example_id, input, expected_output, reviewers, root_cause, content_hash, is_deleted, fromUnixTimestamp64Micro(toInt64(version), 'UTC') AS changed
FROM examples
WHERE dataset = {dataset:String} AND ({project:String} = '' OR project = {project:String})
ORDER BY version DESC
LIMIT 60
SETTINGS final = 0
