"""Traces of any shape become a tree with every span once, and are shown in linear time."""

from __future__ import annotations

import random
import time
import tracemalloc
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from evalspan.dashboard import waterfall
from evalspan.queries.cli import traces as command
from evalspan.queries.store.client import Store
from evalspan.queries.trace_tree import MAX_BRANCHES, begin_ns, role_of, terminal_rows, trace_tree

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def span(name: str, parent: str = "", second: float = 0) -> dict[str, Any]:
    start = NOON + timedelta(seconds=second)
    return {"span_id": name, "parent_span_id": parent, "start_time": start, "duration_ns": 10**9, "name": name, "operation": ""}  # fmt: skip


def chain(length: int) -> list[dict[str, Any]]:
    return [span(f"s{n}", f"s{n - 1}" if n else "", n / 1000) for n in range(length)]


@pytest.mark.parametrize("seed", range(40))
def test_no_span_is_lost_or_doubled_whatever_parents_say(seed: int) -> None:
    drawn = random.Random(seed)
    names = [f"s{n}" for n in range(drawn.randint(1, 60))]
    spans = [span(name, drawn.choice([*names, "", "elsewhere"]), drawn.random()) for name in names]
    tree = trace_tree(spans)
    assert sorted(tree.order) == sorted(names)
    assert [row.span["span_id"] for row in terminal_rows(tree)] == tree.order
    place = {span_id: at for at, span_id in enumerate(tree.order)}
    for span_id in names:
        above = tree.parent(span_id)
        assert tree.depth[span_id] == (tree.depth[above] + 1 if above else 0)
        assert not above or place[above] < place[span_id]
        assert len(list(tree.ancestors(span_id))) == tree.depth[span_id]
    below = [child for children in tree.children.values() for child in children]
    assert sorted([*below, *tree.roots]) == sorted(names)
    rows = waterfall.rows(waterfall.tree(spans), most=10_000)
    assert sum(row.get("more", 1) for row in rows) == len(names)


def test_an_empty_trace_is_an_empty_tree() -> None:
    tree = trace_tree([])
    assert (tree.order, tree.duration_ns, list(terminal_rows(tree))) == ([], 0, [])


def test_times_without_a_zone_are_utc() -> None:
    assert begin_ns({"start_time": NOON}) == begin_ns({"start_time": NOON.replace(tzinfo=None)})


@pytest.mark.parametrize(
    ("row", "role"),
    [
        ({"role": "agent", "operation": "chat"}, "agent"),
        ({"role": "", "operation": "chat"}, "call"),
        ({"operation": "execute_tool"}, "tool"),
        ({"operation": "retrieval"}, "retrieval"),
        ({"operation": "", "tool_name": "find"}, "tool"),
        ({"operation": "something_new"}, "other"),
        ({"role": "nonsense", "operation": "invoke_workflow"}, "workflow"),
        ({}, "other"),
    ],
)
def test_a_span_has_the_role_that_was_stored_else_that_of_its_operation(row: dict[str, Any], role: str) -> None:
    assert role_of(row) == role


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["chain", "flat", "ladder"])
def test_a_tree_of_ten_thousand_spans_takes_little_time_and_memory(shape: str) -> None:
    count = 10_000
    parents = {"chain": lambda n: n - 1, "flat": lambda _: 0, "ladder": lambda n: n - 1 - n % 2}[shape]
    spans = [span(f"s{n}", f"s{max(parents(n), 0)}" if n else "", n / 1000) for n in range(count)]
    began = time.process_time()
    tracemalloc.start()
    text = sum(len(row.rails) + len(row.below) for row in terminal_rows(trace_tree(spans)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - began < 3
    assert text < count * (MAX_BRANCHES + 4) * 6
    assert peak < 30_000_000


def test_branches_above_the_drawn_ones_are_a_number() -> None:
    rows = list(terminal_rows(trace_tree(chain(MAX_BRANCHES + 5))))
    assert rows[MAX_BRANCHES].rails.endswith("└─ ")
    assert not rows[MAX_BRANCHES].rails.startswith("⋯")
    assert rows[-1].rails.startswith("⋯4 ")


@pytest.mark.slow
def test_a_thousand_spans_are_shown_within_a_second_and_a_deep_chain_at_all(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    project, large, deep = (uuid.uuid4().hex for _ in range(3))
    for trace, count in ((large, 1000), (deep, 5000)):
        rows = [{**row, "project": project, "trace_id": trace} for row in chain(count)]
        store.insert("spans", [{**row, "start_time": row["start_time"]} for row in rows])
    monkeypatch.setattr(command, "connect", lambda _: _Open(store))
    for trace, count, seconds in ((large, 1000, 1.0), (deep, 5000, 5.0)):
        began = time.process_time()
        result = CliRunner().invoke(command.traces, ["show", trace], catch_exceptions=False)
        assert time.process_time() - began < seconds
        assert len(result.stdout.splitlines()) == count + 1


class _Open:
    """The store of the tests, which must stay open."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __enter__(self) -> Store:
        return self.store

    def __exit__(self, *_: object) -> None:
        pass


def test_the_steps_that_a_traces_score_speaks_of_are_marked(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    project, trace = uuid.uuid4().hex, uuid.uuid4().hex
    store.insert("spans", [{**row, "project": project, "trace_id": trace} for row in chain(3)])
    about = {"project": project, "trace_id": trace, "unit": "trace", "span_id": "", "passed": "fail", "score": 0.5}
    details = {"good": '["s1"]', "bad": "[1, {"}
    rows = [{**about, "evaluation_id": str(uuid.uuid4()), "name": name, "metadata": {"span_ids": ids}} for name, ids in details.items()]  # fmt: skip
    store.insert("evaluations", rows)
    monkeypatch.setattr(command, "connect", lambda _: _Open(store))
    lines = CliRunner().invoke(command.traces, ["show", trace], catch_exceptions=False).stdout.splitlines()
    assert "good 0.50 ✗" in lines[1]
    assert [line.count("◂ good") for line in lines] == [0, 0, 0, 1, 0]
