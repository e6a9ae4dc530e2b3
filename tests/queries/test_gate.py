"""SQL from outside: what must never run, and what must."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalspan.instrument.errors import QueryError
from evalspan.queries import catalog
from evalspan.queries.database import Store
from evalspan.queries.readonly import _TABLE_FUNCTIONS, ACCESS_DENIED, Limits, _functions

SECRET = "the content of a file outside the store"

# {file} is a readable file with SECRET in it, {target} a path that must not come to exist.
ATTACKS = [
    # files, by function, quoted, cased, nested, in lambdas, transformers, joins, defaults, definitions
    "SELECT file('{file}')",
    "select `file`('{file}')",
    "SELECT \"file\"('{file}')",
    "SELECT /* harmless */ file /**/ ('{file}')",
    "SELECT length(upper(file('{file}')))",
    "SELECT 1 WHERE file('{file}') != ''",
    "SELECT 1 ORDER BY file('{file}')",
    "SELECT 1 GROUP BY file('{file}')",
    "SELECT count() FROM spans HAVING file('{file}') != ''",
    "SELECT arrayMap(x -> file(x), ['{file}'])",
    "SELECT arrayJoin(arrayFilter(x -> file(x) != '', ['{file}']))",
    "WITH '{file}' AS f SELECT file(f)",
    "WITH x -> file(x) AS g SELECT g('{file}')",
    "WITH x -> x AS file SELECT file('{file}')",
    "SELECT file('{file}'), (WITH x -> x AS file SELECT 1)",
    "SELECT * FROM (SELECT file('{file}') AS a)",
    "SELECT (SELECT file('{file}'))",
    "SELECT 1 IN (SELECT file('{file}'))",
    "SELECT exists(SELECT file('{file}'))",
    "SELECT 1 UNION ALL SELECT file('{file}')",
    "SELECT 1 INTERSECT SELECT file('{file}')",
    "SELECT name FROM spans WINDOW w AS (PARTITION BY file('{file}'))",
    "SELECT sum(1) OVER (ORDER BY file('{file}'))",
    "SELECT s.name FROM spans AS s JOIN (SELECT file('{file}') AS n) AS f ON s.name = f.n",
    "SELECT * APPLY(file) FROM (SELECT '{file}')",
    "SELECT * APPLY(x -> file(x)) FROM (SELECT '{file}')",
    "SELECT COLUMNS('.*') APPLY(file) FROM (SELECT '{file}')",
    "SELECT * REPLACE(file('{file}') AS a) FROM (SELECT 1 AS a)",
    "SELECT file('{file}') SETTINGS limit = 2",
    "SELECT file('{file}') SETTINGS max_result_rows = 1, result_overflow_mode = 'break'",
    "SELECT file('{file}') FORMAT TSV SETTINGS limit = 1",
    "SELECT file('{file}') FORMAT JSON FORMAT TSV",
    "EXPLAIN SYNTAX SELECT file('{file}')",
    "EXPLAIN SELECT file('{file}')",
    "DESCRIBE TABLE file('{file}', 'LineAsString')",
    "DESCRIBE (SELECT file('{file}'))",
    "SELECT * FROM file('{file}', 'LineAsString')",
    "SELECT * FROM file('{file}', LineAsString, 'line String')",
    "SELECT * FROM fileCluster('default', '{file}', 'LineAsString')",
    # other servers, processes, engines
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM s3('http://127.0.0.1:1/b/k', 'LineAsString')",
    "SELECT * FROM remote('127.0.0.1:1', 'system', 'one')",
    "SELECT * FROM remoteSecure('127.0.0.1:1', 'system', 'one')",
    "SELECT * FROM cluster('default', 'system', 'one')",
    "SELECT * FROM clusterAllReplicas('default', 'system', 'one')",
    "SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "SELECT * FROM postgresql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "SELECT * FROM mongodb('127.0.0.1:1', 'd', 't', 'u', 'p', 'a String')",
    "SELECT * FROM redis('127.0.0.1:1', 'k', 'k String')",
    "SELECT * FROM sqlite('{file}', 't')",
    "SELECT * FROM executable('id', TSV, 'a String')",
    "SELECT * FROM python('x')",
    "SELECT * FROM Python(open)",
    "SELECT * FROM hdfs('hdfs://127.0.0.1:1/x', 'TSV')",
    "SELECT * FROM icebergLocal('{file}')",
    "SELECT * FROM deltaLakeLocal('{file}')",
    "SELECT * FROM filesystem('/etc')",
    "SELECT * FROM jdbc('x', 'y')",
    "SELECT * FROM odbc('x', 'y')",
    "SELECT * FROM input('a String')",
    # ways around table names
    "SELECT * FROM merge('system', '.*')",
    "SELECT * FROM merge(REGEXP('.*'), 'users')",
    "SELECT * FROM loop(system.processes)",
    "SELECT * FROM eval('SELECT 1')",
    "SELECT * FROM viewExplain('', '', (SELECT 1))",
    "SELECT * FROM dictionary('d')",
    "SELECT dictGet('d', 'a', 1)",
    "SELECT joinGet('t', 'a', 1)",
    "SELECT * FROM system.users",
    "SELECT * FROM `system`.`users`",
    "SELECT * FROM system.processes",
    "SELECT * FROM system.named_collections",
    "SELECT * FROM system.server_settings",
    "SELECT 1 IN system.users",
    "SELECT * FROM spans WHERE name IN (SELECT name FROM system.grants)",
    "SELECT * FROM spans AS s CROSS JOIN system.query_log AS q",
    "SELECT * FROM elsewhere.spans",
    # what the server knows about itself
    "SELECT getSetting('max_threads')",
    "SELECT getServerSetting('path')",
    "SELECT getMacro('shard')",
    "SELECT getClientHTTPHeader('Authorization')",
    "SELECT hostName(), FQDN()",
    "SELECT serverUUID()",
    "SELECT showCertificate()",
    "SELECT addressToLine(1)",
    "SELECT filesystemAvailable()",
    "SHOW PROCESSLIST",
    "SHOW GRANTS",
    "SHOW USERS",
    "SHOW CREATE USER default",
    # burning time or memory on purpose
    "SELECT sleep(3)",
    "SELECT sleepEachRow(1) FROM numbers(3)",
    "SELECT aiGenerate('x')",
    "CHECK TABLE spans",
    # changing something
    "SELECT 1 INTO OUTFILE '{target}'",
    "SELECT 1 INTO OUTFILE '{target}' APPEND FORMAT TSV",
    "INSERT INTO FUNCTION file('{target}', 'TSV', 'a UInt8') VALUES (1)",
    "INSERT INTO spans (project) VALUES ('x')",
    "INSERT INTO spans SELECT * FROM spans",
    "DROP TABLE spans",
    "TRUNCATE TABLE spans",
    "ALTER TABLE spans DELETE WHERE 1",
    "DELETE FROM spans WHERE 1",
    "UPDATE spans SET name = 'x' WHERE 1",
    "RENAME TABLE spans TO gone",
    "OPTIMIZE TABLE spans FINAL",
    "DETACH TABLE spans",
    "ATTACH TABLE spans",
    "EXCHANGE TABLES spans AND evaluations",
    "CREATE TABLE t (a UInt8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE t (a UInt8)",
    "CREATE VIEW v AS SELECT 1",
    "CREATE FUNCTION f AS x -> file(x)",
    "CREATE DICTIONARY d (a UInt8) PRIMARY KEY a SOURCE(FILE(path '{file}' format 'TSV')) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE DATABASE d",
    "CREATE USER u",
    "GRANT ALL ON *.* TO default",
    "SET readonly = 0",
    "SET max_execution_time = 0",
    "USE system",
    "KILL QUERY WHERE 1",
    "SYSTEM FLUSH LOGS",
    "SYSTEM SHUTDOWN",
    "SYSTEM STOP MERGES",
    "BACKUP TABLE spans TO File('{target}')",
    "RESTORE TABLE spans FROM File('{file}')",
    "EXECUTE AS default SELECT 1",
    "BEGIN TRANSACTION",
    "WATCH spans",
    # several at once, and what is no statement
    "SELECT 1; DROP TABLE spans",
    "SELECT 1; SELECT 2",
    "SELECT 1 PARALLEL WITH DROP TABLE spans",
    "EXPLAIN AST SELECT 1; DROP TABLE spans",
    "graph = 1 SELECT file('{file}')",
    "",
    ";",
    "-- only a comment",
    "SELECT '" + "x" * 300_000 + "'",
    "SELECT " + "(" * 3000 + "1" + ")" * 3000,
]


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "secret.txt").write_text(SECRET)
    return {"file": str(tmp_path / "secret.txt"), "target": str(tmp_path / "written.txt")}


@pytest.mark.parametrize("number", range(len(ATTACKS)), ids=lambda n: " ".join(ATTACKS[n].split())[:60] or "empty")
def test_what_is_not_plain_reading_is_refused(number: int, store: Store, places: dict[str, str]) -> None:
    attack = ATTACKS[number].replace("{file}", places["file"]).replace("{target}", places["target"])
    with pytest.raises(QueryError) as refusal:
        store.query_untrusted(attack)
    assert SECRET not in str(refusal.value)
    assert not Path(places["target"]).exists()


def test_there_are_enough_attacks_and_each_once() -> None:
    assert len(set(ATTACKS)) == len(ATTACKS) >= 60


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "FROM spans SELECT count()",
        "WITH x -> x + 1 AS next SELECT next(1)",
        "WITH recent AS (SELECT * FROM spans LIMIT 1) SELECT count() FROM recent",
        "SELECT * FROM spans LIMIT 0",
        "SELECT s.* EXCEPT (input, output) FROM evalspan.spans AS s LIMIT 1",
        "SELECT request_model, count(), avg(output_tokens) FROM spans GROUP BY 1 WITH TOTALS",
        "SELECT quantilesTDigestWeightedIf(0.5, 0.95)(duration_ns, toUInt32(sample_weight), status != 'ERROR') FROM spans",
        "SELECT attributes['evalspan.tag.plan'], resource['service.name'] FROM spans LIMIT 1",
        "SELECT toStartOfHour(start_time) AS h, uniq(trace_id) FROM spans GROUP BY h ORDER BY h WITH FILL STEP 3600",
        "SELECT row_number() OVER (PARTITION BY service ORDER BY start_time) FROM spans",
        "SELECT JSONExtractString(input, 1, 'role') FROM spans",
        "SELECT mannWhitneyUTest('two-sided')(x, g) FROM (SELECT number AS x, number % 2 AS g FROM numbers(20))",
        "SELECT name FROM evaluations ARRAY JOIN [1, 2] AS n",
        "SELECT e.name FROM evaluations AS e LEFT JOIN spans AS s USING (trace_id) WHERE e.passed = 'fail'",
        "SELECT 'file(''/etc/passwd'')' AS harmless, 'Function file' AS too",
        "SELECT now() - INTERVAL 1 DAY, CAST('1' AS UInt8), [1, 2, 3][1], (1, 'a').1, {{}} IS NULL".replace(", {{}} IS NULL", ""),
        "SELECT count() FROM spans SETTINGS max_threads = 1, final = 0",
        "SHOW TABLES",
        "SHOW DATABASES",
        "SHOW CREATE TABLE spans",
        "SHOW COLUMNS FROM spans",
        "DESCRIBE TABLE spans",
        "EXISTS TABLE spans",
        "EXPLAIN SELECT count() FROM spans",
        "EXPLAIN PIPELINE SELECT count() FROM spans",
        "SELECT name, type FROM system.columns WHERE database = 'evalspan'",
        "SELECT table_name FROM information_schema.tables",
    ],
)  # fmt: skip
def test_reading_works(sql: str, store: Store) -> None:
    store.query_untrusted(sql)


def test_every_named_query_passes_the_gate(store: Store) -> None:
    refused = {}
    for name in catalog.names():
        query = catalog.get(name)
        values = {"String": "2026-01-01 00:00:00"}
        given = {p.name: values.get(p.type, "1") for p in query.parameters if p.default is None}
        try:
            store.query_untrusted(query.sql, query.bound(given))
        except QueryError as error:
            if error.code == ACCESS_DENIED:  # whether the values suit the query is another matter
                refused[name] = str(error)
    assert refused == {}


def test_values_come_back_as_they_do_for_trusted_queries(store: Store) -> None:
    sql = "SELECT {text:String} AS t, {list:Array(UInt8)} AS l, toDateTime64(0, 3, 'UTC') AS d, NULL AS n, map('a', 1.5) AS m"
    given = {"text": "quote ' tab \t line \n backslash \\ 日本", "list": [1, 2]}
    assert store.query_untrusted(sql, given) == store.query(sql, given)


def test_one_project_never_sees_the_rows_of_another(store: Store) -> None:
    import uuid

    mine, other = (f"gate-{uuid.uuid4()}" for _ in range(2))
    for project in (mine, other):
        row = {"project": project, "evaluation_id": str(uuid.uuid4()), "name": "n", "source": "code"}
        store.insert("evaluations", [row])
    for sql in (
        "SELECT project FROM evaluations GROUP BY 1",
        "SELECT DISTINCT e.project FROM evalspan.evaluations AS e",
        "SELECT DISTINCT project FROM (SELECT * FROM (SELECT * FROM evaluations))",
        f"SELECT DISTINCT project FROM evaluations WHERE project = '{other}' OR 1",
        "WITH evaluations AS (SELECT project FROM evalspan.evaluations) SELECT DISTINCT project FROM evaluations",
    ):
        assert store.query_untrusted(sql, project=mine).rows == [(mine,)], sql
    assert store.query_untrusted("SELECT count() FROM evaluations", project="nobody's ' project").rows == [(0,)]


@pytest.mark.parametrize(
    ("limits", "sql"),
    [
        (Limits(time_s=0.5), "SELECT count() FROM numbers(100000000000000) WHERE sipHash64(number) = 1"),
        (Limits(memory_bytes=20 << 20), "SELECT groupArray(number) FROM numbers(100000000)"),
        (Limits(result_rows=10), "SELECT number FROM numbers(11)"),
        (Limits(result_bytes=1000), "SELECT repeat('x', 100) FROM numbers(1000)"),
        (Limits(time_s=0.5), "SELECT count() FROM numbers(100000000000000) WHERE sipHash64(number) = 1 SETTINGS max_execution_time = 0"),
        (Limits(result_rows=10), "SELECT number FROM numbers(11) SETTINGS max_result_rows = 100"),
    ],
)  # fmt: skip
def test_limits_hold_and_cannot_be_lifted(limits: Limits, sql: str, store: Store) -> None:
    with pytest.raises(QueryError):
        store.query_untrusted(sql, limits=limits)


def test_allowed_functions_exist_and_no_table_function_hides_among_them(store: Store) -> None:
    engine = {row[0].lower() for row in store.query("SELECT name FROM system.functions").rows}
    syntax = {"lambda", "exists", "grouping", "untuple"}
    assert _functions() - syntax <= engine
    tables = {row[0].lower() for row in store.query("SELECT name FROM system.table_functions").rows}
    # `format` reads a text that is part of the statement, in both of its meanings.
    assert (_functions() | _TABLE_FUNCTIONS) & tables == _TABLE_FUNCTIONS | {"format"}
