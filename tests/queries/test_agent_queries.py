"""Rates by tool, agent and turn and the graph of steps equal what Python counts, weights and clusters included."""

from __future__ import annotations

import itertools
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from evalspan.evaluators.statistics import proportion_interval
from evalspan.queries import catalog
from evalspan.queries.store.client import Store

UNTIL = datetime(2026, 4, 20, tzinfo=UTC)
PERIOD: dict[str, Any] = {"until": UNTIL.isoformat(), "since_s": 7 * 86400}


def span(
    project: str, trace: str, number: int, parent: int = 0, *, hours: float = 24, **columns: Any
) -> dict[str, Any]:
    return {
        "project": project, "trace_id": trace, "span_id": f"{number:016x}", "parent_span_id": f"{parent:016x}" if parent else "",
        "start_time": UNTIL - timedelta(hours=hours) + timedelta(seconds=number), "duration_ns": number * 10**6, "service": "shop", **columns,
    }  # fmt: skip


def agent_trace(project: str, *, failed: bool = False, wrong: bool = False, weight: float = 1.0, conversation: str = "", hours: float = 24) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:  # fmt: skip
    trace = uuid.uuid4().hex
    common: dict[str, Any] = {"sample_weight": weight, "conversation_id": conversation, "hours": hours}
    rows = [
        span(project, trace, 1, role="agent", operation="invoke_agent", agent_name="support", **common),
        span(project, trace, 2, 1, role="call", operation="chat", request_model="m", cost_usd=0.5, input_tokens=10, output_tokens=5, **common),
        span(project, trace, 3, 1, role="tool", operation="execute_tool", tool_name="find", agent_name="support", **common),
        span(project, trace, 4, 1, role="tool", operation="execute_tool", tool_name="refund", status="ERROR" if failed else "OK", status_message="down" if failed else "", **common),
        span(project, trace, 5, 4, role="call", operation="chat", request_model="m", cost_usd=0.25, **common),
    ]  # fmt: skip
    evaluation = {"project": project, "unit": "trace", "trace_id": trace, "span_id": "", "span_time": rows[0]["start_time"], "service": "shop", "sample_weight": weight, "conversation_id": conversation}  # fmt: skip
    broken = json.dumps([{"name": "refund", "span_id": rows[3]["span_id"]}] if wrong else [])
    scores = [
        {**evaluation, "evaluation_id": str(uuid.uuid4()), "name": "arguments_valid", "score": 0.0 if wrong else 1.0, "passed": "fail" if wrong else "pass", "metadata": {"wrong": broken}},
    ]  # fmt: skip
    return rows, scores


def filled(store: Store, *traces: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    store.insert("spans", [row for rows, _ in traces for row in rows])
    store.insert("evaluations", [row for _, rows in traces for row in rows])


def test_rates_by_tool_are_weighted_with_intervals_on_independent_conversations(store: Store) -> None:
    project = uuid.uuid4().hex
    traces = [agent_trace(project, failed=n < 3, wrong=n == 0, conversation=f"c{n // 2}") for n in range(10)]
    filled(store, *traces)
    found = {row["tool"]: row for row in catalog.get("tool_rates").run(store, project=project, **PERIOD).dicts()}
    assert set(found) == {"find", "refund"}
    refund = found["refund"]
    assert (refund["n"], refund["calls"], refund["effective_n"], refund["error_rate"]) == (10, 10, 5, 0.3)
    low, high = proportion_interval(1.5, 5)  # five conversations
    assert (refund["error_low"], refund["error_high"]) == pytest.approx((low, high), abs=1e-6)
    assert (refund["checked_n"], refund["wrong_argument_rate"], refund["last_error"]) == (10, 0.1, "down")
    assert (refund["latency_p50_ms"], refund["cost_usd"]) == (4, 2.5)
    assert (found["find"]["error_rate"], found["find"]["wrong_argument_rate"], found["find"]["cost_usd"]) == (0, 0, 0)
    only = catalog.get("tool_rates").run(store, project=project, agent="support", **PERIOD).dicts()
    assert [row["tool"] for row in only] == ["find"]


def test_rates_by_tool_stand_for_what_sampling_dropped(store: Store) -> None:
    project = uuid.uuid4().hex
    filled(store, agent_trace(project, failed=True), agent_trace(project, weight=9.0))
    refund = next(
        row
        for row in catalog.get("tool_rates").run(store, project=project, **PERIOD).dicts()
        if row["tool"] == "refund"
    )
    assert (refund["calls"], refund["error_rate"]) == (10, 0.1)
    assert refund["effective_n"] == pytest.approx(100 / 82)


def test_rates_by_agent_say_how_often_their_traces_fail(store: Store) -> None:
    project = uuid.uuid4().hex
    filled(store, *(agent_trace(project, wrong=n < 2) for n in range(8)))
    (row,) = catalog.get("agent_rates").run(store, project=project, **PERIOD).dicts()
    assert (row["agent"], row["n"], row["judged_n"], row["failure_rate"], row["tokens"], row["cost_usd"]) == (
        "support",
        8,
        8,
        0.25,
        120,
        4,
    )
    low, high = proportion_interval(2, 8)
    assert (row["failure_low"], row["failure_high"]) == pytest.approx((low, high), abs=1e-6)


def test_conversations_break_off_where_they_do(store: Store) -> None:
    project = uuid.uuid4().hex
    traces = []
    for number, turns in enumerate([1, 1, 2, 3]):
        traces += [
            agent_trace(project, conversation=f"c{number}", hours=30 - turn, wrong=turn == 1) for turn in range(turns)
        ]
    # One that goes on still, and one whose traces were sampled one by one.
    traces.append(agent_trace(project, conversation="on", hours=0.1))
    sampled = agent_trace(project, conversation="partly", weight=5.0)
    filled(store, *traces, sampled)
    rows = catalog.get("turn_rates").run(store, project=project, **PERIOD).dicts()
    assert [(row["turn"], row["n"], row["conversations"]) for row in rows] == [(1, 5, 5), (2, 2, 2), (3, 1, 1)]
    assert [row["break_off_rate"] for row in rows] == [0.5, 0.5, 1.0]
    assert [row["failure_rate"] for row in rows] == [0, 1, 0]
    assert [row["unknown_n"] for row in rows] == [1, 0, 0]
    low, high = proportion_interval(2, 4)
    assert (rows[0]["break_off_low"], rows[0]["break_off_high"]) == pytest.approx((low, high), abs=1e-6)


def test_the_graph_of_steps_counts_edges_with_their_errors_and_failures(store: Store) -> None:
    project = uuid.uuid4().hex
    broken, whole = agent_trace(project, failed=True, wrong=True), agent_trace(project)
    filled(store, broken, whole)
    edges = {(row["source"], row["target"]): row for row in catalog.get("step_graph").run(store, project=project, **PERIOD).dicts()}  # fmt: skip
    path = ["start", "agent support", "model", "tool find", "tool refund", "model", "end"]
    assert set(edges) == set(itertools.pairwise(path))
    refund = edges["tool find", "tool refund"]
    assert (refund["n"], refund["traces"], refund["error_rate"], refund["failure_rate"], refund["share"]) == (
        2,
        2,
        0.5,
        0.5,
        1,
    )
    assert edges["model", "tool find"]["share"] == 0.5
    alone = catalog.get("step_graph").run(store, project=project, trace=whole[0][0]["trace_id"], **PERIOD).dicts()
    assert {row["failure_rate"] for row in alone} == {0}


@pytest.mark.parametrize("name", ["tool_rates", "agent_rates", "turn_rates", "step_graph"])
@pytest.mark.parametrize("narrowed", [{"service": "other"}, {"environment": "other"}, {"project": "nobody"}])
def test_a_query_of_one_service_environment_or_project_sees_nothing_else(store: Store, name: str, narrowed: dict[str, str]) -> None:  # fmt: skip
    project = uuid.uuid4().hex
    filled(store, agent_trace(project, conversation="c"))
    query = catalog.get(name)
    assert query.run(store, project=project, **PERIOD).rows
    assert query.run(store, **{"project": project, **PERIOD, **narrowed}).rows == []


@pytest.mark.parametrize("framework", ["get_weather", "mcp__w__get_weather"])
@pytest.mark.parametrize("is_inside", [True, False])
def test_a_call_of_which_a_framework_and_the_protocol_tell_is_one(
    store: Store, framework: str, is_inside: bool
) -> None:
    project = uuid.uuid4().hex
    rows, _ = agent_trace(project)
    other = next(row for row in rows if row["role"] == "tool")
    mine = {**other, "span_id": f"{17:016x}", "tool_name": framework, "name": framework}
    above = mine["span_id"] if is_inside else mine["parent_span_id"]
    told = {**mine, "span_id": f"{18:016x}", "parent_span_id": above, "tool_name": "get_weather", "name": "tools/call get_weather"}  # fmt: skip
    alone = {**told, "span_id": f"{19:016x}", "tool_name": "only", "name": "tools/call only"}
    store.insert("spans", [*rows, mine, told, alone])
    found = {row["tool"]: row["n"] for row in catalog.get("tool_rates").run(store, project=project, **PERIOD).dicts()}
    assert found == {"find": 1, "refund": 1, framework: 1, "only": 1}
    edges = catalog.get("step_graph").run(store, project=project, **PERIOD).dicts()
    assert sum(row["n"] for row in edges if row["target"].endswith("get_weather")) == 1
