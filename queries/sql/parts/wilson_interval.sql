-- Middle and half width of the Wilson interval of a rate on m trials; z is the normal quantile (Wilson 1927).
((rate, m) -> (rate * m + z * z / 2) / (m + z * z)) AS centre,
((rate, m) -> z / (m + z * z) * sqrt(m * rate * (1 - rate) + z * z / 4)) AS half,
