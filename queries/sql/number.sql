-- title: A number as a row
-- answers: Nothing by itself: lets a condition be asked of one of the service's own numbers.
-- param value Float64 -- the number
-- column value -- the number
-- method: identity.
-- source: own.
SELECT {value:Float64} AS value
