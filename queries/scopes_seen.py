"""Which instrumentations a store has spans of: asked over the SQL port by `doctor`, which has the standard library only."""

SQL = """
SELECT DISTINCT scope_name
FROM evalspan.spans
WHERE start_time > now() - INTERVAL 1 DAY AND (service = '{service}' OR '{service}' = '')
LIMIT 1000
"""
