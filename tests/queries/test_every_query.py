"""Every named query on a store without a row and with one: an answer or nothing, and a reason for nothing; never a crash."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from evalspan.queries import catalog
from evalspan.queries.cli import named
from evalspan.queries.store.client import Store

from ..borrowed import Borrowed

GIVEN: dict[str, Any] = {
    "metric": "only",
    "old": "0",
    "new": "1",
    "since": (datetime.now(UTC) - timedelta(days=7)).isoformat(),
    "until": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    "value": "1",
    "after": "b",
    "before": "a",
    "trace": "0" * 32,
    "prefix": "00",
}


@pytest.fixture(scope="module")
def one_row(store: Store) -> str:
    """A project with one call and one score of it."""
    project = f"one-row-{uuid.uuid4().hex}"
    shared = {"project": project, "trace_id": "0" * 32, "span_id": "1" * 16}
    now = datetime.now(UTC)
    span = {"start_time": now, "operation": "chat", "request_model": "m", "input": "hello", "output": "hi"}
    store.insert("spans", [{**shared, **span}])
    score = {
        "evaluation_id": str(uuid.uuid4()),
        "name": "only",
        "evaluator_version": "1",
        "source": "code",
        "score": 1.0,
    }
    store.insert("evaluations", [{**shared, **score, "span_time": now}])
    return project


@pytest.mark.parametrize("name", catalog.names())
@pytest.mark.parametrize("rows", ["none", "one"])
def test_p08_a_query_answers_or_says_why_there_is_nothing(
    store: Store, one_row: str, monkeypatch: pytest.MonkeyPatch, name: str, rows: str
) -> None:
    monkeypatch.setattr(named, "connect", lambda _: Borrowed(store))
    known = catalog.get(name).parameters
    arguments = [f"{one.name}={GIVEN[one.name]}" for one in known if one.default is None]
    if "project" in {one.name for one in known}:
        arguments.append(f"project={one_row if rows == 'one' else 'nobody'}")
    result = CliRunner().invoke(named.queries, ["run", name, *arguments, "--format", "csv"])
    assert result.exit_code == 0, result.output
    answered = len(result.stdout.splitlines()) > 1
    assert answered or "Nothing: " in result.stderr


@pytest.mark.parametrize("name", catalog.names())
def test_p06_the_header_of_a_query_says_everything(store: Store, name: str) -> None:
    query = catalog.get(name)
    for field in ("title", "answers", "method", "source"):
        assert getattr(query, field), field
    assert query.columns
    given = {one.name: GIVEN[one.name] for one in query.parameters if one.default is None}
    answered = [row[0] for row in store.query(f"DESCRIBE TABLE ({query.sql})", query.bound(given)).rows]
    if [column.name for column in query.columns] != ["rows"]:  # every column of a table
        assert [column.name for column in query.columns] == answered


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [one for one in catalog.names() if "of" in {p.name for p in catalog.get(one).parameters}]
)
def test_a_query_over_scores_or_usage_takes_either(store: Store, name: str) -> None:
    query = catalog.get(name)
    given: dict[str, Any] = {
        one.name: GIVEN[one.name] for one in query.parameters if one.default is None and one.name != "of"
    }
    for of in ("evaluations", "usage"):
        query.run(store, of=of, **given)


@pytest.mark.parametrize("name", ["score_trend", "usage_trend", "confidence_band"])
def test_windows_of_a_week_begin_on_monday(store: Store, name: str) -> None:
    project = f"weeks-{uuid.uuid4().hex}"
    sunday, monday = datetime(2026, 11, 1, 23, 59, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
    for day, moment in enumerate((sunday - timedelta(days=14), sunday - timedelta(days=7), sunday, monday)):
        ids = {"project": project, "trace_id": f"{day:032x}", "span_id": f"{day + 1:016x}"}
        store.insert("spans", [{**ids, "start_time": moment, "operation": "chat", "request_model": "m"}])
        score = {
            "evaluation_id": str(uuid.uuid4()),
            "name": "n",
            "evaluator_version": "1",
            "source": "code",
            "score": day,
        }
        store.insert("evaluations", [{**ids, **score, "span_time": moment}])
    asked: dict[str, Any] = {
        "since_s": 86400 * 30,
        "window_s": 7 * 86400,
        "until": "2026-11-09T00:00:00",
        "project": project,
    }
    known = {one.name for one in catalog.get(name).parameters}
    rows = catalog.get(name).run(store, **{key: value for key, value in asked.items() if key in known}).dicts()
    begun = {next(value for key, value in row.items() if key in ("window_start", "window")) for row in rows}
    assert begun, name
    assert {moment.weekday() for moment in begun} == {0}
