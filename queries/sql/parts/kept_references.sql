-- What each metric is compared with where somebody accepted a level or a change is under suspicion, and from when on scores are read.
(
    SELECT mapFromArrays(groupArray(metric), groupArray((reference_from, accepted_at, held_since, excluded_from, excluded_until)))
    FROM drift_references
    WHERE {references:UInt8} = 1 AND project = {project:String} AND service = {service:String} AND environment = {environment:String}
        AND accepted_at < until_time AND held_since < until_time
) AS kept,
arrayMin(arrayConcat([since_time], arrayFilter(t -> toUnixTimestamp(t) > 0, arrayMap(r -> r.3, mapValues(kept))))) - toIntervalSecond(reference_s) AS from_time,
-- Where nothing is kept, which is usual, that is no look-up for every row.
(metric -> if(empty(kept), (toDateTime64(0, 3, 'UTC'), toDateTime64(0, 3, 'UTC'), toDateTime64(0, 3, 'UTC'), [toDateTime64(0, 3, 'UTC')], [toDateTime64(0, 3, 'UTC')]), kept[metric])) AS reference_of,
