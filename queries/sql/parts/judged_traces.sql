-- The traces with a verdict, and whether an evaluation of them failed: by one metric, or by any.
judged AS
(
    SELECT trace_id, max(passed = 'fail') AS is_failed
    FROM evaluations
    WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
        AND unit = 'trace' AND ({metric:String} = '' OR name = {metric:String}) AND experiment_id = '' AND passed != 'unknown'
        AND span_time >= since_time - toIntervalDay(1) AND span_time < until_time + toIntervalDay(1)
    GROUP BY trace_id
),
