"""A project's key: no statement sees a row of another project, nor is anything of it evaluated on one."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalspan.errors import QueryError
from evalspan.queries.store.client import Store
from evalspan.queries.untrusted.tenancy import confine, tenant_database

from .hostile_expressions import statements

MINE, OTHER = "tenancy-a", "tenancy-b"
MARK = "secret-of-other"
# Errors that the engine gives for what rows hold: throwIf, cannot parse (numbers, dates, bools), division by zero.
ABOUT_ROWS = {6, 26, 27, 38, 41, 70, 72, 153, 395, 467}


def _row(table: str, project: str, number: int) -> dict[str, object]:
    mark = f"{MARK} {number}" if project == OTHER else str(number)
    key = f"{project}-{number}"
    at = "2026-01-05 10:00:00"
    rows: dict[str, dict[str, object]] = {
        "spans": {
            "trace_id": key, "span_id": key, "start_time": at, "name": "chat", "operation": "chat", "input": mark,
            "output": mark, "request_model": "m", "service": key, "status": "ERROR", "error_type": mark, "duration_ns": 5,
        },
        "evaluations": {
            "evaluation_id": str(uuid.uuid4()), "name": "n", "source": "code", "explanation": mark, "span_time": at,
            "experiment_id": key, "trace_id": key,
        },
        "examples": {"dataset": key, "example_id": key, "partition": "golden", "input": mark},
        "experiments": {"experiment_id": key, "name": mark, "target": mark},
        "alerts": {"alert_id": key, "rule_id": key, "message": mark, "window_from": at, "window_to": at},
    }  # fmt: skip
    return {"project": project, **rows[table]}


@pytest.fixture(scope="module")
def mixed(store: Store) -> Iterator[Store]:
    """Parts that hold both projects in one granule: several unmerged ones, and merged ones of another table's copy."""
    for part in range(3):
        for table in ("spans", "evaluations", "examples", "experiments", "alerts"):
            rows = [_row(table, project, part * 10 + n) for n in range(4) for project in (MINE, OTHER)]
            store.insert(table, rows)
    yield store
    for table in ("spans", "evaluations", "examples", "experiments", "alerts"):
        store.command(f"DELETE FROM {table} WHERE project IN ('{MINE}', '{OTHER}')")


def _try_all(store: Store, count: int, seed: int) -> tuple[int, int]:
    """Runs them; returns how many were answered and how many refused for their form."""
    answered = refused = 0
    for sql, _ in statements(MINE, count, seed):
        try:
            result = store.query_untrusted(sql, project=MINE)
        except QueryError as error:
            shown, code = str(error), error.code
            refused += 1
        else:
            shown, code = repr(result.rows), 0
            answered += 1
        assert code not in ABOUT_ROWS, sql
        # What a row holds; the statements themselves, which errors quote, have the mark without a number.
        assert not re.search(rf"{MARK} \d|{OTHER}", shown), sql
    return answered, refused


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_nothing_is_evaluated_on_another_projects_row(mixed: Store, request: pytest.FixtureRequest) -> None:
    count = 5_000 if request.config.getoption("--soak") else 120
    answered, refused = _try_all(mixed, count, seed=15)
    assert answered > 3 * refused  # the statements are such that work
    for table in ("spans", "evaluations", "examples", "experiments", "alerts"):
        mixed.command(f"OPTIMIZE TABLE {table} FINAL")
    answered, refused = _try_all(mixed, count, seed=16)
    assert answered > 3 * refused


@pytest.mark.slow
def test_the_same_statements_do_fail_for_one_who_may_see_all(mixed: Store) -> None:
    failed = 0
    for sql, _ in statements(MINE, 60, seed=15):
        try:
            mixed.query_untrusted(sql)
        except QueryError as error:
            failed += error.code in ABOUT_ROWS
    assert failed >= 30  # otherwise the suite above would prove nothing


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT project FROM otlp_to_spans",
        "SELECT * FROM evalspan.otlp_to_spans",
        "SELECT * FROM evalspan . `otlp_to_spans`",
        "SELECT * FROM evalspan.`.inner.spans`",
        "SELECT model FROM model_prices",
        "SELECT 'm' IN evalspan.model_prices",
        "SELECT 1 IN {mine_db}.spans",
        "SELECT * FROM {other_db}.spans",
        "SELECT * FROM `{other_db}`.spans",
        "SELECT 1 WHERE 'x' IN {other_db}.spans",
        "SELECT * FROM {d:Identifier}.{t:Identifier}",
        "SELECT * FROM {d:Identifier}.otlp_to_spans",
        "SELECT * FROM `evals\\x70an`.spans",
        'SELECT * FROM "evals\\x70an".spans',
        "SELECT * FROM system.parts",
        "SELECT * FROM system.completions",
        "SELECT * FROM information_schema.statistics",
        "EXPLAIN indexes = 1 SELECT * FROM spans",
        "EXPLAIN ESTIMATE SELECT * FROM spans",
        "SELECT * FROM merge('evalspan', 'spans')",
        "SELECT joinGet('evalspan.spans', 'input', 'x')",
        "SELECT * FROM spans SETTINGS additional_table_filters = {'evalspan.spans': '1'}",
        "SELECT * FROM (SELECT * FROM spans SETTINGS additional_table_filters = {'evalspan.spans': '1'})",
        "SELECT 1 IN (SELECT 1 FROM spans SETTINGS max_threads = 1)",
        "WITH x AS (SELECT * FROM spans SETTINGS readonly = 0) SELECT * FROM x",
        "SELECT 1 FROM spans SETTINGS max_threads = 1 UNION ALL SELECT 1 FROM spans",
        "SHOW TABLES FROM {other_db}",
        "SHOW MERGES",
        "show /* */ filesystem caches",
        "SHOW CLUSTERS",
        "SHOW CREATE DATABASE {other_db}",
        "SHOW COLUMNS FROM spans FROM {other_db}",
        "SHOW INDEX FROM spans FROM {other_db}",
    ],
)  # fmt: skip
def test_what_is_not_listed_is_not_there(sql: str, mixed: Store) -> None:
    sql = sql.replace("{mine_db}", tenant_database(MINE)).replace("{other_db}", tenant_database(OTHER))
    mixed.query_untrusted("SELECT 1 FROM spans", project=OTHER)  # whose views are there
    with pytest.raises(QueryError) as refusal:
        mixed.query_untrusted(sql, {"d": tenant_database(OTHER), "t": "spans"}, project=MINE)
    assert MARK not in str(refusal.value)


@pytest.mark.slow
def test_no_statement_shows_anything_of_another_project_or_of_the_machine(mixed: Store, tmp_path: Path) -> None:
    """Table functions, EXPLAIN, system tables, clauses and names in every spelling, from a file."""
    mixed.query_untrusted("SELECT 1 FROM spans", project=OTHER)  # whose views are there
    names = {"mine_db": tenant_database(MINE), "other_db": tenant_database(OTHER), "mine": MINE, "other": OTHER}
    lines = (Path(__file__).parent / "hostile_statements.sql").read_text().splitlines()[1:]
    deep = [
        f"SELECT {before * 3000}1{after * 3000}"
        for before, after in (("(", ")"), ("[", "]"), ("NOT ", ""), ("x->", ""))
    ]
    for line in [*lines, *deep]:
        sql = line.replace("{folder}", str(tmp_path))
        for name, value in names.items():
            sql = sql.replace(f"{{{name}}}", value)
        try:
            given = {"x": "otlp_to_spans"} if "{x:" in sql else None
            shown, code = repr(mixed.query_untrusted(sql, given, project=MINE).rows), 0
        except QueryError as error:
            shown, code = str(error), error.code
        assert code not in ABOUT_ROWS, sql
        assert not re.search(rf"{MARK} \d|{OTHER}-\d|root:x", shown), sql
        for name in (OTHER, tenant_database(OTHER)):
            assert name in sql or name not in shown, sql
    assert not list(tmp_path.iterdir()), "a file was written"


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("SELECT currentDatabase()", [("evalspan",)]),
        ("SELECT count() FROM evalspan.spans", [(12,)]),
        ("SELECT count(evalspan.spans.name) FROM evalspan.spans", [(12,)]),
        ("SELECT count() FROM spans AS s WHERE s.project = 'evalspan.spans' -- evalspan.spans", [(0,)]),
        ("SELECT 'evalspan.spans', count() FROM spans", [("evalspan.spans", 12)]),
        ("WITH spans AS (SELECT * FROM evalspan.spans LIMIT 2) SELECT count() FROM spans", [(2,)]),
        ("SELECT count() FROM {t:Identifier}", [(12,)]),
        ("SELECT count() > 40 FROM system.columns WHERE database = 'evalspan' AND table = 'spans'", [(True,)]),
        ("SELECT total_rows, total_bytes FROM system.tables WHERE database = 'evalspan' AND name = 'spans'", [(None, None)]),
        ("SELECT count() FROM system.databases WHERE name LIKE 'evalspan_tenant%'", [(0,)]),
        ("SELECT count() FROM INFORMATION_SCHEMA.TABLES WHERE table_schema LIKE 'evalspan_tenant%'", [(0,)]),
        ("SELECT max(table_rows) FROM information_schema.tables WHERE table_schema = 'evalspan'", [(None,)]),
        ("EXISTS TABLE evalspan.spans", [(1,)]),
        ("SHOW DATABASES", [(name,) for name in ("INFORMATION_SCHEMA", "default", "evalspan", "information_schema", "system")]),
        ("show/**/databases NOT ILIKE '%e%' limit 1;", []),
        ("SHOW DATABASES LIKE 'evalspan%' LIMIT 5", [("evalspan",)]),
    ],
)  # fmt: skip
def test_what_tools_ask_is_answered_for_the_one_project(
    sql: str, answer: list[tuple[object, ...]], mixed: Store
) -> None:
    assert mixed.query_untrusted(sql, {"t": "spans"}, project=MINE).rows == answer


def test_an_error_names_the_database_that_was_asked(mixed: Store) -> None:
    with pytest.raises(QueryError) as refusal:
        mixed.query_untrusted("SELECT * FROM evalspan.nothing", project=MINE)
    assert "evalspan_tenant" not in str(refusal.value)
    assert "nothing" in str(refusal.value)


def test_a_projects_name_is_data_whatever_it_holds(store: Store) -> None:
    for project in ("it's", "back\\slash", "'; DROP TABLE spans --", "`x`", "ünï\ncode"):
        assert store.query_untrusted("SELECT count() FROM spans", project=project).rows == [(0,)]


@pytest.mark.slow
def test_the_engine_applies_the_filter_below_everything_else(mixed: Store) -> None:
    plan = mixed.query_untrusted("EXPLAIN SELECT count() FROM spans WHERE toUInt64(input) = 1", project=MINE).rows
    lines = [str(row[0]) for row in plan]
    own = next(number for number, line in enumerate(lines) if "Limit" in line)
    assert any("Filter (" in line for line in lines[:own])  # the statement's, above the barrier
    assert sum("Filter (" in line for line in lines[own:]) == 1  # the project's, below it


@pytest.mark.slow
def test_only_names_of_the_database_are_replaced() -> None:
    sql = "SELECT 'evalspan.spans', evalspan.x, a.evalspan.b /* evalspan.c */ FROM `evalspan`.\"t\" -- evalspan.d"
    assert confine(sql, {}, "evalspan", "T") == (
        "SELECT 'evalspan.spans', T.x, a.evalspan.b /* evalspan.c */ FROM T.\"t\" -- evalspan.d"
    )
