"""SQL from outside: what must never run, and what must."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalspan.errors import QueryError
from evalspan.queries import catalog
from evalspan.queries.store.client import Store
from evalspan.queries.untrusted.sql_gate import _TABLE_FUNCTIONS, Limits, _functions
from evalspan.queries.untrusted.syntax_tree import ACCESS_DENIED
from evalspan.queries.untrusted.tenancy import TENANT_TABLES

from .attacks import ATTACKS, BURNING

EVERY = [*ATTACKS, *BURNING]
SECRET = "the content of a file outside the store"


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "secret.txt").write_text(SECRET)
    return {"file": str(tmp_path / "secret.txt"), "target": str(tmp_path / "written.txt")}


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(EVERY)), ids=lambda n: " ".join(EVERY[n].split())[:60] or "empty")
def test_what_is_not_plain_reading_is_refused(number: int, store: Store, places: dict[str, str]) -> None:
    attack = EVERY[number].replace("{file}", places["file"]).replace("{target}", places["target"])
    with pytest.raises(QueryError) as refusal:
        store.query_untrusted(attack, limits=Limits(time_s=2, memory_bytes=300 << 20))
    assert SECRET not in str(refusal.value)
    assert not Path(places["target"]).exists()
    assert store.query("EXISTS TABLE spans").rows == [(1,)]


def test_there_are_enough_attacks_and_each_once() -> None:
    assert len(set(EVERY)) == len(EVERY) >= 300


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


@pytest.mark.slow
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


def test_parameters_are_values_and_names_of_allowed_tables(store: Store) -> None:
    assert store.query_untrusted("SELECT {a:String} AS a", {"a": "1); DROP TABLE spans --"}).rows == [
        ("1); DROP TABLE spans --",)
    ]
    assert store.query_untrusted("SELECT count() >= 0 FROM {t:Identifier}", {"t": "spans"}).rows == [(1,)]
    for sql, given in (
        ("SELECT * FROM {d:Identifier}.{t:Identifier}", {"d": "system", "t": "users"}),
        ("SELECT * FROM {t:Identifier}", {"t": "system.users"}),
        ("SELECT {f:Identifier}('/etc/passwd')", {"f": "file"}),
        ("SELECT * FROM {t:Identifier}", {"t": "file('/etc/passwd')"}),
    ):
        with pytest.raises(QueryError) as refusal:
            store.query_untrusted(sql, given)
        assert "root:" not in str(refusal.value)


def test_a_table_is_visible_to_keys_only_when_it_is_listed_and_has_a_project(store: Store) -> None:
    found = store.query(
        "SELECT c.table, t.engine FROM system.columns AS c JOIN system.tables AS t"
        " ON t.database = c.database AND t.name = c.table WHERE c.database = 'evalspan' AND c.name = 'project'"
    )
    visible = {table for table, engine in found.rows if engine.endswith("MergeTree") or engine == "View"}
    assert visible == set(TENANT_TABLES)
    every = store.query("SELECT name FROM system.tables WHERE database = 'evalspan'")
    for table in {row[0] for row in every.rows} - visible:
        for sql in (f"SELECT * FROM {table}", f"SELECT * FROM evalspan.`{table}`", f"SELECT 1 WHERE 1 IN {table}"):
            with pytest.raises(QueryError):
                store.query_untrusted(sql, project="gate-lists")


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
        "SELECT any(project) FROM evalspan.`evaluations` FINAL",
    ):
        assert store.query_untrusted(sql, project=mine).rows == [(mine,)], sql
    # Within a statement a key has no settings, those that filter its rows above all.
    filters = "SELECT * FROM (SELECT DISTINCT project FROM evaluations SETTINGS additional_table_filters = {})"
    with pytest.raises(QueryError, match="SETTINGS stand once"):
        store.query_untrusted(filters, project=mine)
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
        (Limits(time_s=0.5), "SELECT (SELECT count() FROM numbers(100000000000000) WHERE sipHash64(number) = 1 SETTINGS max_execution_time = 0)"),
        (Limits(memory_bytes=20 << 20), "WITH x AS (SELECT groupArray(number) FROM numbers(100000000) SETTINGS max_memory_usage = 0) SELECT * FROM x"),
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
