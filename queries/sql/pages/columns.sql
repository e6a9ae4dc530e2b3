-- title: Tables and columns
-- answers: What can a query ask for?
-- column table -- the table
-- column name -- the column
-- column type -- its ClickHouse type
SELECT table, name, type
FROM system.columns
WHERE database = currentDatabase() AND table IN ('spans', 'evaluations', 'examples', 'experiments', 'experiment_results', 'alert_rules', 'alerts')
ORDER BY indexOf(['spans', 'evaluations', 'examples', 'experiments', 'experiment_results', 'alert_rules', 'alerts'], table), position
