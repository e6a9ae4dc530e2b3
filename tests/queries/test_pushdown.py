"""What a key's statement asks of time and of ids spares reading, changes no answer, and is never an expression of the statement."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from evalspan.errors import QueryError
from evalspan.queries.store.client import Store
from evalspan.queries.untrusted.pushdown import COLUMNS, pushed_conditions
from evalspan.queries.untrusted.sql_gate import Limits, Names, examine

MINE, OTHER = "pushdown-a", "pushdown-b"
NOW = datetime.now(UTC).replace(microsecond=0)
DAYS = 12


@pytest.fixture(scope="module")
def mixed(store: Store) -> Iterator[Store]:
    """Both projects in the same parts, over some days, in two inserts that repeat some rows."""
    for part in range(2):
        rows = [
            {
                "project": project, "trace_id": f"{project}-{number % 40}", "span_id": f"{project}-{number}", "name": "chat",
                "start_time": NOW - timedelta(days=number % DAYS, minutes=number), "service": f"s{number % 3}",
                "duration_ns": number, "status": "ERROR" if number % 7 == 0 else "OK", "input": f"{project} {number}",
            }
            for number in range(part * 50, part * 50 + 100)
            for project in (MINE, OTHER)
        ]  # fmt: skip
        store.insert("spans", rows)
    yield store
    store.command(f"DELETE FROM spans WHERE project IN ('{MINE}', '{OTHER}')")


def pushed(store: Store, sql: str, parameters: dict[str, str] | None = None) -> dict[str, str]:
    """What would be asked of the tables for this statement."""

    def engine(text: str) -> str:
        rows = store.query(text, parameters).rows
        return "\n".join(str(row[0]) for row in rows)

    return pushed_conditions(sql, examine(sql, engine, Names("evalspan")).tree, engine)


DAY = (NOW - timedelta(days=2)).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        (f"start_time >= '{DAY}'", f"`start_time` >= '{DAY}'"),
        (f"'{DAY}' < spans.start_time", f"`start_time` > '{DAY}'"),
        (f"start_time BETWEEN '{DAY}' AND '2100-01-01'", f"`start_time` >= '{DAY}' AND `start_time` <= '2100-01-01'"),
        ("trace_id = 'it\\'s' AND name = 'x'", "`trace_id` = 'it\\'s'"),
        ("trace_id IN ('a', 'b, ''c')", "`trace_id` IN ('a', 'b, \\'c')"),
        ("start_time < toDateTime64('2026-01-05', 9)", "`start_time` < '2026-01-06 00:00:00.000'"),
        ("start_time > toDateTime(1767225600)", "`start_time` > '2025-12-31 00:00:00.000'"),
        ("start_time < {at:DateTime}", "`start_time` < '2026-01-01 00:00:01.000'"),
    ],
    ids=lambda _: "case",
)
def test_times_and_ids_are_pushed(store: Store, condition: str, wanted: str) -> None:
    given = {"at": "2026-01-01 00:00:00"} if "{at" in condition else None
    assert pushed(store, f"SELECT count() FROM spans WHERE {condition}", given) == {"spans": wanted}


def test_a_bound_in_the_present_lets_more_through_than_the_statement_does(store: Store) -> None:
    before = datetime.now(UTC)
    found = pushed(store, "SELECT 1 FROM spans WHERE start_time > now() - INTERVAL 3 HOUR")["spans"]
    at = datetime.fromisoformat(found.partition("> ")[2].strip("'")).replace(tzinfo=UTC)
    assert before - timedelta(hours=3, seconds=2) <= at <= datetime.now(UTC) - timedelta(hours=3)
    assert pushed(store, "SELECT 1 FROM spans WHERE start_time >= toStartOfDay(now())")
    assert not pushed(store, "SELECT 1 FROM spans WHERE start_time < now()")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count() FROM spans WHERE start_time > '2026-01-01' OR name = 'x'",
        "SELECT count() FROM spans WHERE NOT (start_time > '2026-01-01')",
        "SELECT now() AS start_time, count() FROM spans WHERE start_time > '2026-01-01'",
        "WITH '2027' AS trace_id SELECT count() FROM spans WHERE trace_id = '2027'",
        "SELECT name FROM spans QUALIFY start_time > '2026-01-01'",
        "SELECT DISTINCT trace_id FROM spans HAVING trace_id = 'x'",
        "SELECT count() FROM spans WHERE user_id = 'bob'",
        "SELECT count() FROM spans WHERE trace_id = lower('X')",
        "SELECT count() FROM spans WHERE trace_id = concat('x', input)",
        "SELECT count() FROM spans WHERE start_time > toDateTime(input)",
        "SELECT count() FROM spans WHERE start_time > now() - toIntervalDay(throwIf(project != 'p'))",
        "SELECT count() FROM spans WHERE start_time > if(project = 'p', now(), toDateTime(input))",
        "SELECT count() FROM spans AS a JOIN spans AS b ON a.trace_id = b.trace_id WHERE a.start_time > '2026-01-01'",
        "SELECT count() FROM spans WHERE start_time > '2026-01-01' UNION ALL SELECT count() FROM spans",
        "SELECT count() FROM spans WHERE start_time > '2026-01-01' AND trace_id IN (SELECT trace_id FROM spans)",
        "SELECT count() FROM spans, usage WHERE start_time > '2026-01-01'",
        "SELECT (SELECT count() FROM usage), count() FROM spans WHERE start_time > '2026-01-01'",
        "SELECT count() FROM spans ARRAY JOIN [1] AS n WHERE start_time > '2026-01-01'",
        "SELECT count() FROM (SELECT * FROM spans) WHERE start_time > '2026-01-01'",
    ],
)
def test_what_is_not_a_condition_of_the_only_reading_stays_above(store: Store, sql: str) -> None:
    assert not pushed(store, sql)


CONDITIONS = (
    f"start_time >= '{DAY}'", f"start_time < '{DAY}'", "start_time > now() - INTERVAL 3 DAY", "start_time <= now()",
    f"trace_id = '{MINE}-7'", f"trace_id = '{OTHER}-7'", f"trace_id IN ('{MINE}-1', '{OTHER}-2', '{MINE}-3')",
    "start_time > yesterday()", "start_time >= toStartOfHour(now() - toIntervalHour(30))", "name = 'chat'",
    "status = 'ERROR'", f"NOT (start_time < '{DAY}')", f"(start_time < '{DAY}' OR duration_ns > 90)", "duration_ns < 60",
    f"start_time BETWEEN toDateTime('{DAY}') - INTERVAL 4 DAY AND toDateTime('{DAY}')",
)  # fmt: skip
SHAPES = (
    "SELECT count(), sum(duration_ns) FROM spans WHERE {c}",
    "SELECT status, count() FROM spans AS s WHERE {c} GROUP BY status ORDER BY status",
    "SELECT span_id FROM evalspan.spans WHERE {c} ORDER BY span_id LIMIT 7",
    "WITH x AS (SELECT * FROM spans WHERE {c}) SELECT count() FROM x AS a JOIN x AS b ON a.span_id = b.span_id",
    "SELECT count() FROM (SELECT trace_id, count() AS n FROM spans WHERE {c} GROUP BY trace_id) WHERE n > 1",
    "SELECT (SELECT count() FROM spans WHERE {c}), count() FROM numbers(3)",
    "SELECT count() FROM spans WHERE {c} UNION ALL SELECT count() + 1 FROM evaluations",
    "SELECT sum(row) FROM (SELECT row_number() OVER (PARTITION BY trace_id ORDER BY span_id) AS row FROM spans WHERE {c})",
    "SELECT count() FROM spans WHERE {c} AND trace_id IN (SELECT trace_id FROM evaluations WHERE name = 'x')",
    "SELECT trace_id, min(start_time) FROM spans WHERE {c} GROUP BY trace_id WITH TOTALS ORDER BY trace_id LIMIT 3",
)


@pytest.mark.slow
def test_no_answer_changes(mixed: Store, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each statement is answered with and without what is pushed."""
    chance = random.Random(3)
    every = [
        shape.format(c=" AND ".join(chance.sample(CONDITIONS, count)))
        for shape, count in itertools.product(SHAPES, (1, 2, 3))
        for _ in range(20 if request.config.getoption("--soak") else 2)
    ]
    answers = [mixed.query_untrusted(sql, project=MINE).rows for sql in every]
    assert sum(bool(pushed(mixed, sql)) for sql in every) > len(every) / 2
    monkeypatch.setattr("evalspan.queries.untrusted.reader.table_filters", lambda *_: "")
    for sql, answer in zip(every, answers, strict=True):
        assert sorted(mixed.query_untrusted(sql, project=MINE).rows) == sorted(answer), sql


def test_the_engine_skips_the_days_that_were_not_asked_for(mixed: Store) -> None:
    def read(condition: str) -> int:
        reply = mixed._untrusted.run(
            f"SELECT count() FROM spans WHERE {condition}", project=MINE, limits=Limits(), format_="TSV"
        )
        b"".join(reply.chunks)
        return reply.statistics.read_rows

    everything = read("1")  # parts that are merged only now, or not yet, hold rows twice
    assert read(f"start_time >= '{NOW - timedelta(days=1):%Y-%m-%d %H:%M:%S}'") <= 0.6 * everything
    assert read("start_time > now() - INTERVAL 1 DAY") <= 0.6 * everything
    assert read(f"trace_id = '{MINE}-3' AND start_time > now() - INTERVAL 4 DAY") <= 0.6 * everything


@pytest.mark.slow
def test_a_condition_on_the_other_project_tells_nothing(mixed: Store) -> None:
    """Neither rows nor an error nor what was read depends on whether the other project has what is asked for."""
    for value in (f"{OTHER}-7", "nobody"):
        assert mixed.query_untrusted(f"SELECT count() FROM spans WHERE trace_id = '{value}'", project=MINE).rows == [
            (0,)
        ]
    for malformed in ("start_time > 'no time'", "start_time > toDateTime('no time')"):
        with pytest.raises(QueryError) as refusal:
            mixed.query_untrusted(f"SELECT count() FROM spans WHERE {malformed}", project=MINE)
        assert OTHER not in str(refusal.value)


@pytest.mark.slow
def test_the_columns_are_there_and_none_has_an_index_on_what_can_be_guessed(store: Store) -> None:
    for table, columns in COLUMNS.items():
        there = {
            name
            for (name,) in store.query("SELECT name FROM system.columns WHERE table = {t:String}", {"t": table}).rows
        }
        assert set(columns) <= there
        indexed = store.query(
            "SELECT expr FROM system.data_skipping_indices WHERE database = 'evalspan' AND table = {t:String}"
            " AND type != 'minmax'", {"t": table},
        ).rows  # fmt: skip
        assert {name for (name,) in indexed} & set(columns) <= {"trace_id", "span_id"}  # random, nobody guesses them
