"""Failing traces and conversations become cases that keep what the agent did, and run again with its tools replayed."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import evalspan
from evalspan.evaluators import ToolCalls, evaluator
from evalspan.evaluators.calibration.annotation import draw, label_row
from evalspan.evaluators.cli import export as command
from evalspan.evaluators.datasets import Dataset
from evalspan.evaluators.experiments.run import RunSettings, run_cases
from evalspan.evaluators.experiments.target import Identity, Target
from evalspan.evaluators.scoring.spans import compare_versions, score_spans
from evalspan.evaluators.trajectory.case_run import CaseSettings
from evalspan.queries import catalog
from evalspan.queries.store.client import Store

from .trajectories import call, said, span, tool

HOUR = timedelta(hours=1)


class _Open:
    """The store of the tests, which must stay open."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __enter__(self) -> Store:
        return self.store

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def project(store: Store, monkeypatch: pytest.MonkeyPatch) -> str:
    """Three traces of an agent that refunds too much, two of them one conversation."""
    import evalspan.queries.store.client as client

    monkeypatch.setattr(client, "connect", lambda *_, **__: _Open(store))
    name = f"agents-{uuid.uuid4().hex[:8]}"
    rows: list[dict[str, Any]] = []
    for number, conversation in enumerate(("c1", "c1", "")):
        at = -600 + 60 * number
        question = f"Refund order A{number}, ann{number}@example.com"
        root = span("invoke_agent support", operation="invoke_agent", agent_name="support", seconds=20, at=at,
                    input=json.dumps([said("user", question)]), output=json.dumps([said("assistant", "Refunded.")]))  # fmt: skip
        asked = call(root, [said("user", question)], [said("assistant", calls=[("t", "refund", {"order": f"A{number}", "amount": 90})])], at=at + 1)  # fmt: skip
        ran = tool(root, "refund", {"order": f"A{number}", "amount": 90}, {"refunded": 90}, call_id="t", at=at + 3)
        rows += [{**row, "project": name, "trace_id": uuid.uuid4().hex if row is root else "", "conversation_id": conversation, "service": "shop"} for row in (root, asked, ran)]  # fmt: skip
    trace_id = ""
    shift = datetime.now(UTC) - timedelta(minutes=5) - max(row["start_time"] for row in rows)
    for row in rows:
        trace_id = row["trace_id"] or trace_id
        row["trace_id"] = trace_id
        row["start_time"] += shift
    store.insert("spans", rows)
    return name


@evaluator(name="refund_limit", version="1")
def refund_limit(trace: Any) -> bool:
    return all(one.arguments["amount"] <= 50 for one in trace.tool_calls)


@evaluator(name="resolved", version="1")
def resolved(conversation: Any) -> bool:
    return len(conversation.turns) > 5


def export(path: Path, project: str, *more: str) -> str:
    result = CliRunner().invoke(command.export, ["failures", "--to", str(path), "--project", project, *more], catch_exceptions=False)  # fmt: skip
    assert result.exit_code == 0
    return result.stderr


def test_failing_traces_become_cases_with_their_steps_that_replay_their_tools(store: Store, project: str, tmp_path: Path) -> None:  # fmt: skip
    scored = asyncio.run(score_spans(store, [refund_limit], since=HOUR, project=project))
    assert [one.outcome.passed for one in scored] == [False] * 3
    path = tmp_path / "regression.jsonl"
    export(path, project)
    cases = list(Dataset.load(path))
    assert cases
    for case in cases:
        number = case.input["question"].split()[2][1]
        assert case.input["messages"] == [{"role": "user", "content": case.input["question"]}]
        assert case.metadata["tool_results"] == [{"name": "refund", "arguments": {"order": f"A{number}", "amount": 90}, "result": {"refunded": 90}}]  # fmt: skip
        assert "TOOL by support refund" in case.metadata["trajectory"]
        assert "@example.com" not in json.dumps(case.to_json())
        assert case.metadata["failure"]["evaluations"][0]["unit"] == "trace"
        assert "agent" in case.tags
    ran: list[str] = []

    @evalspan.observe(kind="tool", name="refund")
    def refund(order: str, amount: float) -> dict[str, float]:
        ran.append(order)
        return {"refunded": amount}

    def agent(limit: float) -> Target:
        def answer(given: dict[str, Any]) -> str:
            order = given["question"].split()[2].strip(",")
            try:
                return str(refund(order, min(limit, 90)))
            except evalspan.errors.EvalspanError:
                return "I need approval."

        return Target(answer, Identity("test:agent"))

    replay = RunSettings(case=CaseSettings(replay_tools="error"))
    before = run_cases(cases, agent(90), [refund_limit, ToolCalls(["refund"])], replay)
    assert [result.metrics[0].passed for result in before] == [False] * len(cases), before[0]
    assert [result.model_output for result in before] == ["{'refunded': 90}"] * len(cases)
    after = run_cases(cases, agent(50), [refund_limit], replay)
    assert [result.metrics[0].passed for result in after] == [True] * len(cases)
    assert ran == []


async def test_failing_conversations_become_cases_of_several_turns(store: Store, project: str, tmp_path: Path) -> None:
    await score_spans(store, [resolved], since=HOUR, project=project)
    path = tmp_path / "regression.jsonl"
    export(path, project)
    (case,) = list(Dataset.load(path))
    assert [turn.split()[2].strip(",") for turn in case.input["turns"]] == ["A0", "A1"]
    assert case.metadata["conversation_id"] == "c1"
    assert "USER (turn 2)" in case.metadata["trajectory"]
    assert len(case.metadata["tool_results"]) == 2
    assert "@example.com" not in json.dumps(case.to_json())
    export(path, project)
    assert len(list(Dataset.load(path))) == 1


@pytest.mark.parametrize(("format_", "said_"), [("promptfoo", "does not replay tools"), ("inspect", "first turn is asked"), ("openai-evals", "one request a case"), ("pytest", "")])  # fmt: skip
async def test_a_format_that_cannot_hold_an_agents_case_says_so(store: Store, project: str, tmp_path: Path, format_: str, said_: str) -> None:  # fmt: skip
    await score_spans(store, [refund_limit, resolved], since=HOUR, project=project)
    said_on_stderr = export(tmp_path / "test_cases.py", project, "--format", format_)
    assert said_ in said_on_stderr
    assert ("does not replay" in said_on_stderr) == (format_ != "pytest")


async def test_a_condition_on_scores_narrows_traces_and_conversations_alike(store: Store, project: str, tmp_path: Path) -> None:  # fmt: skip
    await score_spans(store, [refund_limit, resolved], since=HOUR, project=project)
    path = tmp_path / "regression.jsonl"
    export(path, project, "--where", "name = 'resolved' AND passed = 'fail'")
    assert ["turns" in case.input for case in Dataset.load(path)] == [True]


async def test_stored_traces_and_conversations_are_scored_once_and_re_baselined_on_their_own(store: Store, project: str) -> None:  # fmt: skip
    assert len(await score_spans(store, [refund_limit], since=HOUR, project=project)) == 3
    assert await score_spans(store, [refund_limit], since=HOUR, project=project) == []
    assert len(await score_spans(store, [resolved], since=HOUR, project=project)) == 1
    newer = evaluator(name="refund_limit", version="2")(lambda trace: 0.5)
    again = await score_spans(store, [newer], since=HOUR, project=project, rebaselined=frozenset({"refund_limit"}))
    assert len(again) == 3
    assert "on the same 3 traces" in compare_versions(store, newer, since=HOUR, project=project)


@pytest.mark.slow
async def test_people_label_whole_traces_and_conversations_blind_and_agreement_is_per_unit(store: Store, project: str) -> None:  # fmt: skip
    await score_spans(store, [refund_limit, resolved], since=HOUR, project=project)
    for metric, count, unit in (("refund_limit", 3, "trace"), ("resolved", 1, "conversation")):
        drawn = draw(store, metric=metric, author="ann", project=project)
        assert (len(drawn.calls), len(drawn.open)) == (count, count)
        for one in drawn.calls:
            assert "refund(" in one["output"]
            assert metric not in one["output"]
            store.insert("evaluations", [label_row(drawn, one, score=0.0, passed=False)])
        assert draw(store, metric=metric, author="ann", project=project).open == []
        assert len(draw(store, metric=metric, author="bob", project=project).open) == count
        (row,) = catalog.get("judge_agreement").run(store, project=project, metric=metric).dicts()
        assert (row["unit"], row["pairs"], row["agreement"]) == (unit, count, 1)
