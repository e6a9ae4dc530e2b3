"""Every named query on a store without a row and with one: an answer or nothing, and a reason for nothing; never a crash."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest
from click.testing import CliRunner

from evalspan.queries import catalog
from evalspan.queries.cli import named
from evalspan.queries.store.client import Store

GIVEN = {
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


class Borrowed:
    """The session's store as a command's own, which it must not close."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Left open for the other tests."""


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
