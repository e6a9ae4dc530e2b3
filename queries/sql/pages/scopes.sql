-- title: Projects, environments and services
-- answers: What can the lists be narrowed to?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- column projects -- names seen in the range
-- column environments -- names seen in the range
-- column services -- names seen in the range
-- column spans -- spans kept in the range
SELECT
    arraySort(groupUniqArray(200)(project)) AS projects,
    arraySort(arrayFilter(x -> x != '', groupUniqArray(200)(environment))) AS environments,
    arraySort(arrayFilter(x -> x != '', groupUniqArray(200)(service))) AS services,
    count() AS spans
FROM spans
WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
    AND project = {project:String} -- if project
SETTINGS final = 0
