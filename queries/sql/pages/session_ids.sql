-- title: Ids of the newest conversations
-- answers: Which conversations went on last, and how many are there?
-- param start DateTime64(3) = 1970-01-01 00:00:00 -- from when, UTC
-- param end DateTime64(3) = 2100-01-01 00:00:00 -- until when, UTC
-- param project String = '' -- one project, '' for all
-- param environment String = '' -- one environment, '' for all
-- param service String = '' -- one service, '' for all
-- param q String = '' -- the beginning of a session or user id, '' for all
-- param rows UInt32 = 50 -- how many
-- param skip UInt32 = 0 -- how many are left out first
-- column conversation_id -- the conversation
-- column first -- when its first span of the range began
-- column newest -- when its newest began
-- column total -- how many there are
SELECT conversation_id, first, newest, count() OVER () AS total
FROM
(
    SELECT conversation_id, min(start_time) AS first, max(start_time) AS newest
    FROM spans
    WHERE start_time >= {start:DateTime64(3)} AND start_time < {end:DateTime64(3)}
        AND project = {project:String} -- if project
        AND environment = {environment:String} -- if environment
        AND service = {service:String} -- if service
        AND conversation_id != ''
        AND (startsWith(conversation_id, {q:String}) OR startsWith(user_id, {q:String})) -- if q
    GROUP BY conversation_id
)
ORDER BY newest DESC, conversation_id
LIMIT {skip:UInt32}, {rows:UInt32}
SETTINGS final = 0
