-- title: Tables on disk
-- answers: What does the store hold, and how many bytes is it?
-- column rows -- rows, superseded ones included until a merge
-- column bytes -- compressed, with indexes
SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS bytes, sum(data_uncompressed_bytes) AS raw_bytes, count() AS parts
FROM system.parts
WHERE database = currentDatabase() AND active
GROUP BY table ORDER BY bytes DESC
