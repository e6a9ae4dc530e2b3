-- title: What evaluation costs
-- answers: Judge calls and money of the last hour and day by evaluator, for the budget.
-- param project String = default -- project
-- param service String = '' -- only this service, empty for all
-- param environment String = '' -- only this environment, empty for all
-- param until String = '' -- end of the period (ISO 8601, UTC), empty for now
-- column metric -- evaluation name
-- column judge_model -- the judge's model
-- column calls_hour -- evaluations written in the last hour
-- column calls_day -- in the last 24 hours
-- column cost_hour_usd -- known cost of the last hour
-- column cost_day_usd -- known cost of the last 24 hours
-- column unpriced_day -- judge evaluations of the last 24 hours whose cost is not known
-- method: sums.
-- source: own.
WITH if({until:String} = '', now64(3, 'UTC'), parseDateTime64BestEffort({until:String}, 3, 'UTC')) AS until_time
SELECT name AS metric, judge_model, countIf(created_at >= until_time - toIntervalHour(1)) AS calls_hour, count() AS calls_day,
    sumIf(ifNull(judge_cost_usd, 0), created_at >= until_time - toIntervalHour(1)) AS cost_hour_usd, sum(ifNull(judge_cost_usd, 0)) AS cost_day_usd,
    countIf(judge_cost_usd IS NULL AND source = 'llm_judge') AS unpriced_day
FROM evaluations
WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
    AND source IN ('code', 'llm_judge') AND created_at >= until_time - toIntervalDay(1) AND created_at < until_time
GROUP BY name, judge_model
ORDER BY cost_day_usd DESC, calls_day DESC
