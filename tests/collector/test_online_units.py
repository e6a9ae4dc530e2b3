"""Online scoring of traces and conversations: when they are ready, once each, resumable, shared, budgeted, weighted."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from evalspan.evaluators.online import ReadyRule, read_rules
from evalspan.evaluators.online.worker import RuleWorker
from evalspan.queries.span_scoring_store import SpanScoringStore
from evalspan.queries.store.client import Store

from . import unit_evaluators

HERE = "evalspan_unit_tests"
EARLIER = datetime.now(UTC) - timedelta(hours=3)
WEIGHT = "evalspan.conversation_weight"


@pytest.fixture(autouse=True)
def evaluators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, HERE, unit_evaluators)
    unit_evaluators.SEEN.clear()


def fresh() -> str:
    return f"units-{uuid.uuid4().hex[:10]}"


def rule(project: str, name: str = "tools", **settings: Any) -> ReadyRule:
    made, problems = read_rules([{
        "name": settings.pop("rule", f"r-{project}"), "evaluators": [f"{HERE}:{name}"], "project": project,
        "where": "operation = 'chat'", "quiet_s": 0, "backfill_from": "2020-01-01", **settings,
    }])  # fmt: skip
    assert problems == []
    return made[0]


def trace(project: str, *, tools: int = 1, rooted: bool = True, ago_s: float = 60, operation: str = "chat", turn: int = 0, **columns: Any) -> list[dict[str, Any]]:  # fmt: skip
    """An agent's trace that came into the table `ago_s` seconds ago."""
    trace_id = uuid.uuid4().hex
    came = datetime.now(UTC) - timedelta(seconds=ago_s)
    start = EARLIER + timedelta(minutes=turn)
    common = {"project": project, "trace_id": trace_id, "start_time": start, "duration_ns": 10**9, "inserted_at": came, "ingested_at": came, **columns}  # fmt: skip
    asked = [{"role": "user", "parts": [{"type": "text", "content": f"question {turn}"}]}]
    said = [{"role": "assistant", "parts": [{"type": "text", "content": f"answer {turn}"}]}]
    rows = [{**common, "span_id": "0" * 16, "name": "agent", "operation": "invoke_agent", "agent_name": "support", "service": "shop"}] if rooted else []  # fmt: skip
    rows.append({**common, "span_id": "1" * 16, "parent_span_id": "0" * 16, "name": "chat", "operation": operation, "request_model": "gpt-5-mini", "input": json.dumps(asked), "output": json.dumps(said), "prompt_version": "7"})  # fmt: skip
    for number in range(tools):
        rows.append({**common, "span_id": f"{number + 2:016x}", "parent_span_id": "0" * 16, "name": "find", "operation": "execute_tool", "tool_name": "find", "input": "{}", "output": "ok"})  # fmt: skip
    return rows


async def work(store: Store, ready: ReadyRule, *, earlier: list[ReadyRule] | None = None, shard: int = 0, shards: int = 1, ticks: int = 60) -> RuleWorker:  # fmt: skip
    worker = RuleWorker(ready, SpanScoringStore(store), earlier=earlier, shard=shard, shards=shards)
    for _ in range(ticks):
        if await worker.tick(-1.0) == -1.0:
            break
    return worker


def scores(store: Store, project: str) -> list[dict[str, Any]]:
    sql = "SELECT * FROM evaluations WHERE project = {p:String} ORDER BY name, trace_id, conversation_id"
    return store.query(sql, {"p": project}).dicts()


async def test_a_trace_is_scored_once_as_a_whole_with_its_roots_dimensions(store: Store) -> None:
    project = fresh()
    rows = trace(project, tools=3, conversation_id="c1")
    store.insert("spans", rows)
    await work(store, rule(project))
    (row,) = scores(store, project)
    assert (str(row["unit"]), row["trace_id"], row["span_id"], row["conversation_id"]) == (
        "trace",
        rows[0]["trace_id"],
        "",
        "c1",
    )
    assert (row["score"], row["service"], row["request_model"], row["prompt_version"]) == (3, "shop", "gpt-5-mini", "7")
    assert row["explanation"] == "question 0 -> answer 0"
    await work(store, rule(project))
    assert len(scores(store, project)) == 1
    assert len(unit_evaluators.SEEN) == 1


async def test_a_trace_matches_when_one_of_its_spans_does(store: Store) -> None:
    project = fresh()
    store.insert("spans", [*trace(project), *trace(project, operation="embeddings")])
    worker = await work(store, rule(project))
    assert len(scores(store, project)) == 1
    assert (worker.state.seen, worker.state.matched, worker.state.finished) == (2, 1, 1)


async def test_a_trace_waits_for_its_root_and_is_scored_as_incomplete_when_none_comes(store: Store) -> None:
    project = fresh()
    young, old = trace(project, rooted=False, ago_s=5), trace(project, rooted=False, ago_s=700)
    store.insert("spans", [*young, *old])
    ready = rule(project, root_timeout_s=600)
    await work(store, ready)
    (row,) = scores(store, project)
    assert (row["trace_id"], row["metadata"]["incomplete"], row["metadata"]["complete_"]) == (
        old[0]["trace_id"],
        "true",
        "false",
    )
    # Its root comes after all, of an earlier hour: one number, no longer marked.
    late = trace(project, tools=0, ago_s=0)[0]
    store.insert("spans", [{**late, "trace_id": old[0]["trace_id"], "start_time": EARLIER - timedelta(hours=2)}])
    await asyncio.sleep(0.01)
    await work(store, ready)
    found = [row for row in scores(store, project) if row["trace_id"] == old[0]["trace_id"]]
    assert [(row["score"], "incomplete" in row["metadata"], row["service"]) for row in found] == [(1, False, "shop")]


async def test_a_root_that_has_only_just_come_is_given_its_quiet_time(store: Store) -> None:
    project = fresh()
    store.insert("spans", trace(project, ago_s=1))
    await work(store, rule(project, quiet_s=30))
    assert scores(store, project) == []


@pytest.mark.slow
async def test_workers_share_traces_and_a_killed_one_goes_on_with_its_plan(store: Store) -> None:
    project = fresh()
    store.insert("spans", [row for _ in range(60) for row in trace(project)])
    ready = rule(project, probability=0.5, concurrency=1)
    first = RuleWorker(ready, SpanScoringStore(store), shard=0, shards=2)
    first._page_size = 5
    await first.tick(-1.0)
    before = first.state.plan
    assert before is not None
    await work(store, ready, shard=0, shards=2)
    await work(store, ready, shard=1, shards=2)
    found = scores(store, project)
    assert 15 < len(found) < 45
    assert len({row["trace_id"] for row in found}) == len(found) == len(unit_evaluators.SEEN)
    assert {row["sample_weight"] for row in found} == {2.0}
    again = fresh()
    store.insert("spans", [{**row, "project": again} for row in store.query("SELECT * FROM spans WHERE project = {p:String}", {"p": project}).dicts()])  # fmt: skip
    await work(store, rule(again, probability=0.5))
    assert {row["trace_id"] for row in scores(store, again)} == {row["trace_id"] for row in found}


async def test_a_budget_takes_a_random_sample_of_traces_and_weights_it(store: Store) -> None:
    project = fresh()
    store.insert("spans", [row for _ in range(40) for row in trace(project, sample_weight=2.0)])
    worker = await work(store, rule(project, budget_per_hour=10))
    found = scores(store, project)
    assert len(found) == 10
    assert worker.state.over_budget == 30
    assert sum(row["sample_weight"] for row in found) == pytest.approx(80, rel=0.6)
    assert len({row["sample_weight"] for row in found}) == 1


async def test_a_trace_that_an_earlier_rule_scores_is_left_to_it(store: Store) -> None:
    project = fresh()
    store.insert("spans", [*trace(project, user_id="vip"), *trace(project)])
    vip, rest = (
        rule(project, rule="vip", where="user_id = 'vip'"),
        rule(project, rule="rest", where="operation = 'chat'"),
    )
    await work(store, vip)
    await work(store, rest, earlier=[vip])
    assert sorted(row["metadata"]["rule"] for row in scores(store, project)) == ["rest", "vip"]


async def test_evaluators_of_answers_may_judge_traces_where_the_rule_says_so(store: Store) -> None:
    project = fresh()
    store.insert("spans", trace(project))
    await work(store, rule(project, "has_answer", unit="trace"))
    (row,) = scores(store, project)
    assert (str(row["unit"]), row["score"], row["span_id"]) == ("trace", 1, "")


def test_units_that_contradict_the_evaluators_switch_the_rule_off() -> None:
    base = {"name": "r", "project": "p"}
    for settings, said in (
        ({"evaluators": [f"{HERE}:tools"], "unit": "conversation"}, "tools judges a trace"),
        ({"evaluators": [f"{HERE}:tools", f"{HERE}:turns"]}, "different units"),
        ({"evaluators": [f"{HERE}:tools", f"{HERE}:has_answer"]}, "different units"),
        ({"evaluators": [f"{HERE}:tools"], "idle_s": -1}, "idle_s"),
        ({"evaluators": [f"{HERE}:tools"], "unit": "session"}, "unit"),
    ):
        ready, problems = read_rules([{**base, **settings}])
        assert ready == []
        assert said in str(problems[0])


@pytest.mark.slow
async def test_a_conversation_is_scored_when_idle_and_again_when_it_goes_on_with_one_number(store: Store) -> None:
    project = fresh()
    for turn in range(2):
        store.insert("spans", trace(project, turn=turn, ago_s=100, conversation_id="c", user_id="ann"))
    ready = rule(project, "turns", idle_s=50)
    await work(store, ready)
    (row,) = scores(store, project)
    assert (str(row["unit"]), row["trace_id"], row["span_id"], row["conversation_id"], row["score"]) == ("conversation", "", "", "c", 2)  # fmt: skip
    assert (row["explanation"], row["service"], row["prompt_version"]) == ("question 0 -> answer 1", "shop", "7")
    assert row["metadata"]["turns"] == "2"
    later = trace(project, turn=170, ago_s=51, conversation_id="c", user_id="ann")
    store.insert("spans", later)
    await work(store, ready)
    assert len(scores(store, project)) == 1  # the window was closed when it had not been idle
    store.insert("spans", [{**row, "span_id": "9" * 16, "name": "late"} for row in trace(project, turn=171, ago_s=40, conversation_id="c")[:1]])  # fmt: skip
    quick = rule(project, "turns", idle_s=0)
    await work(store, quick)
    (row,) = scores(store, project)
    assert row["score"] == 3
    assert row["span_time"].hour == later[0]["start_time"].hour
    assert row["metadata"]["last_trace_id"]


async def test_a_conversation_that_goes_on_all_the_time_is_not_scored(store: Store) -> None:
    project = fresh()
    store.insert(
        "spans", trace(project, ago_s=100, conversation_id="c") + trace(project, turn=1, ago_s=5, conversation_id="c")
    )
    await work(store, rule(project, "turns", idle_s=30))
    assert scores(store, project) == []


@pytest.mark.parametrize(
    ("spans", "weight", "reason"),
    [
        ([{}, {}], 1.0, ""),
        ([{"sample_weight": 5.0, "sample_rule": "base", "attributes": {WEIGHT: "5"}}, {"sample_weight": 1.0, "sample_rule": "errors", "attributes": {WEIGHT: "5"}}], 5.0, ""),
        ([{"sample_weight": 5.0, "sample_rule": "base"}], 1.0, "sampled one by one"),
        ([{"sample_weight": 1.0, "sample_rule": "errors"}], 1.0, "sampled one by one"),
        ([{"sample_weight": 5.0, "sample_rule": "base", "attributes": {WEIGHT: "5"}}, {"sample_weight": 1.0, "sample_rule": "errors"}], 1.0, "sampled one by one"),
        ([{"sample_weight": 5.0, "sample_rule": "base", "attributes": {WEIGHT: "5"}}, {"sample_weight": 2.0, "sample_rule": "base", "attributes": {WEIGHT: "2"}}], 1.0, "sampled one by one"),
        ([{"sample_weight": 4.0}], 1.0, "sampled one by one"),
    ],
    ids=["everything kept", "kept together", "by trace", "an error alone", "in part", "two rates", "by the app"],
)  # fmt: skip
async def test_a_conversation_has_a_score_only_where_its_probability_is_known(store: Store, spans: list[dict[str, Any]], weight: float, reason: str) -> None:  # fmt: skip
    project = fresh()
    for turn, columns in enumerate(spans):
        store.insert("spans", trace(project, turn=turn, conversation_id="c", **columns))
    await work(store, rule(project, "turns", idle_s=1, probability=1.0))
    (row,) = scores(store, project)
    assert row["sample_weight"] == weight
    assert reason in row["error"]
    assert (row["score"] is None) == bool(reason)


async def test_conversations_and_traces_of_one_project_keep_their_own_numbers(store: Store) -> None:
    project = fresh()
    for turn in range(3):
        store.insert("spans", trace(project, turn=turn, conversation_id="c"))
    await work(store, rule(project, rule="t"))
    await work(store, rule(project, "turns", rule="c", idle_s=1))
    assert sorted(str(row["unit"]) for row in scores(store, project)) == ["conversation", "trace", "trace", "trace"]
    funnel = store.query("SELECT count() FROM cursors WHERE consumer IN ('online/t/0-1', 'online/c/0-1')").rows
    assert funnel[0][0] >= 2


async def test_a_conversation_of_many_turns_is_read_within_bounds(store: Store) -> None:
    project = fresh()
    rows = [row for turn in range(330) for row in trace(project, tools=0, turn=turn % 170, conversation_id="long")]
    store.insert("spans", rows)
    await work(store, rule(project, "turns", idle_s=1))
    (row,) = scores(store, project)
    assert (row["score"], row["metadata"]["turns"]) == (300, "330")
