-- The rows of `read` that are of a metric's reference or of its period, which is `watched`.
-- the period begins where suspicion begins, or where a level was accepted
divided AS
(
    SELECT *, toUnixTimestamp(reference.3) > 0 AS held, greatest(if(toUnixTimestamp(reference.3) > 0, least(since_time, reference.3), since_time), reference.2) AS split FROM read
),
scored AS
(
    SELECT *, span_time >= split AS watched FROM divided
    WHERE span_time >= split OR (span_time >= greatest(split - toIntervalSecond(reference_s), reference.1)
        AND NOT arrayExists((a, b) -> span_time >= a AND span_time < b, reference.4, reference.5))
),
