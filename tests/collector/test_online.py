"""Online evaluation over a real store: plans, budgets, weights, restarts, outages, and what the funnel says of them."""

from __future__ import annotations

import asyncio
import json
import math
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.log import framing
from evalspan.evaluators import Grounding, evaluator, run_evaluator
from evalspan.evaluators.arguments import span_arguments
from evalspan.evaluators.calibration.annotation import draw
from evalspan.evaluators.contract import NO_TEXT_ANSWER, UnscoredCause
from evalspan.evaluators.online import Follower, ReadyRule, checked, read_rules
from evalspan.evaluators.online import worker as online_worker
from evalspan.evaluators.online.worker import RuleWorker
from evalspan.queries import catalog
from evalspan.queries.span_scoring_store import SpanScoringStore
from evalspan.queries.store.client import Store

from . import online_evaluators

HERE = "evalspan_online_tests"


@pytest.fixture(autouse=True)
def evaluators(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, HERE, online_evaluators)
    monkeypatch.setitem(online_evaluators.AWAY, "judge", False)


def fresh() -> str:
    return f"online-{uuid.uuid4().hex[:10]}"


def fill(store: Store, project: str, n: int, *, answer: str = "yes please", errors: int = 0) -> None:
    """n chat spans in traces of their own, `errors` of them failed."""
    import os

    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    start = 1_790_000_000_000_000_000
    for number in range(n):
        span = spans.add(
            trace_id=os.urandom(16),
            span_id=os.urandom(8),
            name="chat m",
            start_time_unix_nano=start + number,
            end_time_unix_nano=start + number + 10**9,
        )
        if number < errors:
            span.status.code = 2  # type: ignore[assignment]
        put = span.attributes.add
        put(key="gen_ai.operation.name").value.string_value = "chat"
        question = '[{"role":"user","parts":[{"type":"text","content":"how?"}]}]'
        put(key="gen_ai.input.messages").value.string_value = question
        said = f'[{{"role":"assistant","parts":[{{"type":"text","content":"{answer}"}}]}}]'
        put(key="gen_ai.output.messages").value.string_value = said
        put(key="evalspan.tag.tier").value.string_value = "gold"
    body = request.SerializeToString()
    store.insert_otlp(b"".join(framing.frame(body, project, 1_790_000_000_000)), token=uuid.uuid4().hex)


def rule(project: str, **values: Any) -> ReadyRule:
    given = {"name": project, "project": project, "evaluators": [f"{HERE}:length"], "quiet_s": 0, **values}
    given.setdefault("backfill_from", "2020-01-01")
    (ready,), problems = read_rules([given])
    assert not problems
    return ready


def run(store: Store, *rules: ReadyRule, shard: int = 0, shards: int = 1) -> Follower:
    follower = Follower(store, rules, shard=shard, shards=shards)
    asyncio.run(follower.catch_up())
    return follower


def rows(store: Store, project: str) -> list[dict[str, Any]]:
    return store.query("SELECT * FROM evaluations WHERE project = {p:String}", {"p": project}).dicts()


def funnel(store: Store, name: str) -> dict[str, Any]:
    (row,) = catalog.get("evaluation_funnel").run(store, rule=name).dicts()
    return row


def test_the_context_is_all_that_the_answer_may_rest_on_with_its_source(store):
    project = fresh()
    asked = {"role": "user", "parts": [{"type": "text", "content": "how?"}]}
    call = {"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "orders", "arguments": {}}]}
    told = {"role": "user", "parts": [{"type": "tool_call_response", "id": "1", "response": {"text": "from the tool"}}]}
    paper = {"role": "user", "parts": [{"type": "document", "title": "terms.pdf", "content": "from the document"}]}
    now = datetime.now(UTC)
    shared = {"project": project, "trace_id": uuid.uuid4().hex, "start_time": now}
    answer = {
        **shared,
        "span_id": "a" * 16,
        "operation": "chat",
        "input": json.dumps([asked, paper, call, told]),
        "output": json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "please"}]}]),
        "attributes": {"evalspan.context": "from the app"},
    }
    others = [
        {"operation": "retrieval", "name": "shelf", "output": "from the shelf"},
        {"operation": "execute_tool", "tool_name": "stock", "output": json.dumps({"text": "from a tool's span"})},
        {"operation": "execute_tool", "tool_name": "orders", "output": "from the tool"},
        {
            "operation": "execute_tool",
            "tool_name": "late",
            "output": "after it",
            "start_time": now + timedelta(seconds=5),
        },
        {"operation": "retrieval", "name": "shelf", "output": "a stranger's", "project": "another"},
    ]
    spans = [{**shared, "span_id": uuid.uuid4().hex[:16], **one} for one in others]
    store.insert("spans", [answer, *spans])
    (row,) = (
        SpanScoringStore(store)
        .store.query(
            "SELECT * FROM spans WHERE span_id = {id:String} AND project = {p:String}", {"id": "a" * 16, "p": project}
        )
        .dicts()
    )
    passages = SpanScoringStore(store).passages([row])[project, row["trace_id"]]
    got = span_arguments(row, passages)
    assert {one["source"]: one["text"] for one in got["context"]} == {
        "attribute evalspan.context": "from the app",
        "retrieval shelf": "from the shelf",
        "tool stock": "from a tool's span",
        "tool orders": "from the tool",
        "document terms.pdf": "from the document",
    }
    assert (got["input"], got["output"]) == ("how?", "please")
    judged = Grounding()("It costs $50.", [{"source": "tool prices", "text": "It costs $49."}])
    assert judged.details["findings"][0]["source"] == "tool prices"


def test_a_turn_that_only_calls_tools_is_no_answer_not_matched_not_drawn_and_unscored(store):
    project = fresh()
    tool_call = [
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "f", "arguments": {"n": 17}}]}
    ]
    outputs = [tool_call] * 3 + [[{"role": "assistant", "parts": [{"type": "text", "content": "please"}]}]]
    store.insert(
        "spans",
        [
            {
                "project": project, "trace_id": uuid.uuid4().hex, "span_id": uuid.uuid4().hex[:16], "operation": "chat",
                "start_time": datetime.now(UTC), "input": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "q"}]}]),
                "output": json.dumps(output),
            }
            for output in outputs
        ],
    )  # fmt: skip
    run(store, rule(project, evaluators=[f"{HERE}:polite"]))
    found = rows(store, project)
    assert [(row["name"], row["score"]) for row in found] == [("polite", 1.0)]
    assert funnel(store, project)["matched"] == 1
    drawn = draw(store, metric="polite", author="ann", week="this", project=project)
    assert (drawn.population, len(drawn.calls)) == (1, 1)
    row = {"output": json.dumps(tool_call), "input": "", "attributes": {}}
    got = asyncio.run(run_evaluator(Grounding(), **span_arguments(row)))
    assert (got.value, got.unscored, got.cause) == (None, NO_TEXT_ANSWER, UnscoredCause.NOT_APPLICABLE)
    calls = evaluator(name="calls")(lambda span: "tool_call" in span["output"])
    assert asyncio.run(run_evaluator(calls, **span_arguments(row))).value == 1.0


def test_every_matching_span_is_scored_once_with_texts_dimensions_and_weight(store):
    project = fresh()
    fill(store, project, 5)
    run(store, rule(project, evaluators=[f"{HERE}:BOTH"], segment="evalspan.tag.tier"))
    found = rows(store, project)
    assert sorted(row["name"] for row in found) == ["length"] * 5 + ["polite"] * 5
    assert {row["explanation"] for row in found if row["name"] == "polite"} == {"asked: how?; context: None"}
    assert {(row["score"], row["passed"]) for row in found} == {(10.0, "unknown"), (1.0, "pass")}
    assert {(row["segment"], row["sample_weight"], row["source"]) for row in found} == {("gold", 1.0, "code")}


def test_running_again_or_from_the_start_doubles_nothing(store):
    project = fresh()
    fill(store, project, 8)
    run(store, rule(project))
    first = {row["evaluation_id"] for row in rows(store, project)}
    run(store, rule(project))
    store.insert("cursors", [{"consumer": f"online/{project}/0-1", "position": "1", "position_key": {"rule": project}}])
    run(store, rule(project))
    assert {row["evaluation_id"] for row in rows(store, project)} == first
    assert len(rows(store, project)) == 8


def test_b04_the_probability_is_the_weight_and_the_hash_decides(store):
    project = fresh()
    fill(store, project, 2000)
    run(store, rule(project, probability=0.1))
    found = rows(store, project)
    assert abs(len(found) - 200) < 4 * math.sqrt(2000 * 0.1 * 0.9)
    assert {round(row["sample_weight"], 6) for row in found} == {10.0}


@pytest.mark.slow
def test_b31_20000_spans_against_a_budget_of_1000_leave_exact_counts_and_a_valid_weight(store):
    project = fresh()
    for _ in range(4):
        fill(store, project, 5000)
    run(store, rule(project, budget_per_hour=1000))
    found = rows(store, project)
    assert len(found) == 1000
    state = funnel(store, project)
    assert (state["seen"], state["matched"], state["sampled"]) == (20_000, 20_000, 20_000)
    assert (state["scored"], state["over_budget"], state["queued"]) == (1000, 19_000, 0)
    # The thousand stand for all twenty thousand: their weights add up to the traffic.
    assert sum(row["sample_weight"] for row in found) == pytest.approx(20_000, rel=4 / math.sqrt(1000))


@pytest.mark.slow
def test_a_spent_budget_makes_spans_wait_and_the_next_one_draws_from_all_of_them(store, monkeypatch):
    project = fresh()
    fill(store, project, 50)
    ready = rule(project, budget_per_hour=20)
    run(store, ready)
    fill(store, project, 100)
    run(store, ready)
    assert len(rows(store, project)) == 20
    waiting = funnel(store, project)
    assert waiting["queued"] == 100
    assert "budget" in waiting["waiting_for"]
    real = SpanScoringStore.spent
    monkeypatch.setattr(SpanScoringStore, "spent", lambda self, *args: (0, 0.0))  # the next hour begins
    run(store, ready)
    monkeypatch.setattr(SpanScoringStore, "spent", real)
    state = funnel(store, project)
    assert (state["scored"], state["over_budget"], state["queued"]) == (40, 30 + 80, 0)


@pytest.mark.slow
def test_a_money_budget_stops_at_the_price_paid_so_far(store):
    project = fresh()
    fill(store, project, 200)
    ready = rule(project, evaluators=[f"{HERE}:judge"], budget_usd_per_day=0.5)
    for _ in range(3):
        fill(store, project, 50)
        run(store, ready)
    spent = sum(row["judge_cost_usd"] for row in rows(store, project))
    assert 0.2 <= spent <= 0.5 + 1e-9
    assert funnel(store, project)["over_budget"] + funnel(store, project)["queued"] > 100


@pytest.mark.slow
def test_workers_that_share_by_hash_score_everything_once_between_them(store):
    project = fresh()
    fill(store, project, 200)
    for shard in range(4):
        run(store, rule(project), shard=shard, shards=4)
    counts = [funnel(store, project)["finished"], len(rows(store, project))]
    assert counts == [200, 200]


@pytest.mark.slow
def test_w03_a_worker_killed_in_the_middle_of_a_plan_goes_on_with_the_same_spans_and_weight(store, monkeypatch):
    monkeypatch.setattr(online_worker, "PAGE", 200)
    project = fresh()
    fill(store, project, 900)
    ready = rule(project, probability=0.8, budget_per_hour=500)
    worker = RuleWorker(ready, SpanScoringStore(store))
    asyncio.run(worker.tick(1.0))  # one page of the plan, then the process is gone
    done = len(rows(store, project))
    assert 0 < done < 500
    run(store, ready)
    found = rows(store, project)
    assert len(found) == 500
    assert len({row["sample_weight"] for row in found}) == 1


def test_late_spans_are_found_although_their_own_times_are_long_past(store):
    project = fresh()
    ready = rule(project)
    run(store, ready)
    fill(store, project, 3)  # received in the past, says their frame
    run(store, ready)
    assert len(rows(store, project)) == 3


def test_a_new_rule_without_backfill_starts_with_what_comes_after_it(store):
    project = fresh()
    fill(store, project, 5)
    ready = rule(project, backfill_from=None)
    run(store, ready)
    assert rows(store, project) == []
    fill(store, project, 2)
    run(store, ready)
    assert len(rows(store, project)) == 2


def test_b33_a_judge_that_is_away_is_asked_later_and_nothing_passes_meanwhile(store):
    project = fresh()
    fill(store, project, 30)
    ready = rule(project, evaluators=[f"{HERE}:judge"])
    worker = RuleWorker(ready, SpanScoringStore(store))
    online_evaluators.AWAY["judge"] = True
    pauses = [asyncio.run(worker.tick(1.0)) for _ in range(4)]
    assert pauses == [1.0, 2.0, 4.0, 8.0]
    assert rows(store, project) == []
    assert "JudgeUnavailable" in funnel(store, project)["waiting_for"]
    online_evaluators.AWAY["judge"] = False
    run(store, ready)
    assert {row["passed"] for row in rows(store, project)} == {"pass"}
    assert len(rows(store, project)) == 30
    assert funnel(store, project)["waiting_for"] == ""


def test_b16_an_evaluator_that_always_fails_is_unscored_with_its_reason_and_never_a_pass(store):
    project = fresh()
    fill(store, project, 25)
    run(store, rule(project, evaluators=[f"{HERE}:broken"]))
    found = rows(store, project)
    assert {(row["score"], row["passed"]) for row in found} == {(None, "unknown")}
    state = funnel(store, project)
    assert (state["scored"], state["unscored"]) == (0, 25)
    assert state["unscored_reasons"] == ["ZeroDivisionError: always"]
    stopped = {row["rule"]: row["reason"] for row in catalog.get("evaluators_stopped").run(store).dicts()}
    assert stopped[project] == "every evaluation fails"


def test_a18_a_rule_with_spans_waiting_and_no_score_is_reported_as_stopped(store):
    project = fresh()
    fill(store, project, 3)
    online_evaluators.AWAY["judge"] = True
    worker = RuleWorker(rule(project, evaluators=[f"{HERE}:judge"]), SpanScoringStore(store))
    asyncio.run(worker.tick(1.0))
    worker.state.progress_ms -= 3_600_000
    worker._save()
    stopped = {row["rule"]: row["reason"] for row in catalog.get("evaluators_stopped").run(store).dicts()}
    assert stopped[project].startswith("spans wait and nothing is scored: JudgeUnavailable")


def test_the_targeted_stream_harvests_failures_without_entering_any_number(store):
    project = fresh()
    fill(store, project, 400, errors=40)
    uniform = rule(project, probability=0.25)
    targeted = rule(project, name=f"{project}-errors", stream="targeted", where="status = 'ERROR'")
    run(store, uniform, targeted)
    found = rows(store, project)
    harvested = [row for row in found if row["author"]]
    assert len(harvested) == 40
    assert {row["sample_weight"] for row in harvested} == {0.0}
    assert sum(row["sample_weight"] for row in found) == pytest.approx(400, rel=0.4)


def test_a_span_in_two_uniform_rules_belongs_to_the_first_so_its_weight_is_known(store):
    project = fresh()
    fill(store, project, 300, errors=100)
    first = rule(project, name=f"{project}-a", where="status = 'ERROR'")
    second = rule(project, name=f"{project}-b", probability=0.5)
    run(store, first, second)
    found = rows(store, project)
    assert sorted({row["sample_weight"] for row in found}) == [1.0, 2.0]
    assert sum(row["sample_weight"] == 1.0 for row in found) == 100
    assert sum(row["sample_weight"] for row in found) == pytest.approx(300, rel=0.3)


def test_a_span_for_which_an_earlier_condition_says_nothing_goes_to_the_later_rule(store):
    """Their price is unknown, so `cost_usd > 1` is NULL for them, and so is NOT of it."""
    project = fresh()
    fill(store, project, 4)
    dear = rule(project, name=f"{project}-dear", where="cost_usd > 1")
    run(store, dear, rule(project, name=f"{project}-rest"))
    assert [row["metadata"]["rule"] for row in rows(store, project)] == [f"{project}-rest"] * 4


def test_a_rule_for_one_project_takes_nothing_of_the_others_from_a_later_rule_for_all(store):
    one, other = fresh(), fresh()
    fill(store, one, 3)
    fill(store, other, 3)
    mine = f"project IN ('{one}', '{other}')"
    first = rule(one, name=f"{one}-first", where=mine)
    run(store, first, rule("*", name=f"{one}-all", where=mine))
    assert {row["metadata"]["rule"] for row in rows(store, one)} == {f"{one}-first"}
    assert [row["metadata"]["rule"] for row in rows(store, other)] == [f"{one}-all"] * 3


def test_b25_b26_partials_and_callable_objects_are_scored_under_the_names_they_were_given(store):
    project = fresh()
    fill(store, project, 4)
    run(store, rule(project, evaluators=[f"{HERE}:PARTIAL", f"{HERE}:BLOCKING"]))
    assert {(row["name"], row["score"]) for row in rows(store, project)} == {("at_least", 1.0), ("blocking", 1.0)}


def test_b30_a_blocking_evaluator_does_not_make_the_others_wait_for_it(store):
    project = fresh()
    online_evaluators.counting.most = 0
    fill(store, project, 6)
    run(store, rule(project, evaluators=[f"{HERE}:BLOCKING"]))
    assert online_evaluators.counting.most >= 2


def test_w03_one_failing_evaluator_leaves_the_scores_of_the_others(store):
    project = fresh()
    fill(store, project, 3)
    run(store, rule(project, evaluators=[f"{HERE}:broken", f"{HERE}:length"]))
    found = rows(store, project)
    assert Counter((row["name"], row["score"]) for row in found) == {("broken", None): 3, ("length", 10.0): 3}


BAD_RULES: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "unknown evaluator": ({"evaluators": [f"{HERE}:lenght"]}, 4, "lenght", "length"),
    "module that fails to import": ({"evaluators": ["no_such_module_here:x"]}, 4, "no module", ""),
    "probability above one": ({"evaluators": [f"{HERE}:length"], "probability": 1.5}, 5, "(0, 1]", ""),
    "negative budget": ({"evaluators": [f"{HERE}:length"], "budget_per_hour": -5}, 5, "above 0", ""),
    "misspelt key": ({"evaluators": [f"{HERE}:length"], "probablity": 0.5}, 5, "probablity", "probability"),
    "no such date": ({"evaluators": [f"{HERE}:length"], "backfill_from": "yesterday"}, 5, "ISO 8601", ""),
}


@pytest.mark.parametrize("kind", BAD_RULES)
def test_a_bad_rule_is_refused_with_file_line_reason_and_suggestion_and_the_others_run(kind, tmp_path: Path):
    values, line, reason, suggestion = BAD_RULES[kind]
    path = tmp_path / "evalspan.toml"
    keys = "\n".join(f"{key} = {value!r}" for key, value in values.items())
    path.write_text(f"[evaluation]\n[[evaluation.rules]]\nname = 'bad'\n{keys}\n")
    good = {"name": "good", "evaluators": [f"{HERE}:length"]}
    ready, (problem,) = read_rules([{"name": "bad", **values}, good], path=path)
    assert [one.rule.name for one in ready] == ["good"]
    assert problem.where == f"{path}:{line}"
    assert reason in problem.reason
    assert suggestion in f"{problem.reason} {problem.hint}"


@pytest.mark.parametrize("where", ["opperation = 'chat'", "operation", "1; DROP TABLE spans", "SELECT 1 FROM", ")("])
def test_sql_that_is_not_a_condition_is_refused_with_the_reason(store, where):
    ready, problems = checked([rule("sql", where=where), rule("fine")], SpanScoringStore(store))
    assert [one.rule.name for one in ready] == ["fine"]
    assert where in problems[0].reason


@pytest.mark.slow
def test_config_check_names_every_rule_that_cannot_run_with_its_line(tmp_path: Path):
    import subprocess
    import sys

    (tmp_path / "checks.py").write_text(
        "from evalspan.evaluators import evaluator\n@evaluator(name='n', version='1')\ndef size(output): return 1\n"
    )
    rules = (
        "[evaluation]\n[[evaluation.rules]]\nname = 'a'\nwhere = \"servce = 'x'\"\nevaluators = ['checks:size']\n"
        "[[evaluation.rules]]\nname = 'b'\nevaluators = ['checks:sise']\n"
        "[[evaluation.rules]]\nname = 'c'\nevaluators = ['checks:size']\n"
        "[[evaluation.rules]]\nname = 'd'\nwhere = 'request_model'\nevaluators = ['checks:size']\n"
        "[[alerts.rules]]\nname = 'e'\nquery = 'score_trend'\ncondition = 'pas_rate < 0.5'\n"
        "[[alerts.rules]]\nname = 'f'\nquery = 'e_detector'\nparameters = { of = 'usage' }\ncondition = \"alarm != ''\"\n"
        "[[alerts.sinks]]\nname = 'g'\nkind = 'webhok'\nurl = 'https://example.org'\n"
    )
    (tmp_path / "evalspan.toml").write_text(rules)
    command = [sys.executable, "-m", "evalspan", "config", "check"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "evalspan.toml:4: rule 'a' is off" in done.stderr
    assert "service" in done.stderr
    assert "evalspan.toml:8: rule 'b' is off" in done.stderr
    assert "did you mean 'size'" in done.stderr
    assert "rule 'c'" not in done.stderr
    assert "evalspan.toml:14: rule 'd' is off" in done.stderr
    assert "'request_model' is a String, not a condition" in done.stderr
    assert "evalspan.toml:19: 'e' is off" in done.stderr
    assert "Maybe you meant: ['pass_rate']" in done.stderr
    assert "'f' is off" not in done.stderr
    assert "evalspan.toml:27: 'g' is off: kind = 'webhok' is unknown (Did you mean 'webhook'?)" in done.stderr


def test_thumbs_down_are_harvested_by_a_condition_over_the_feedback(store):
    project = fresh()
    fill(store, project, 5)
    (row,) = store.query(
        "SELECT trace_id, span_id FROM spans WHERE project = {p:String} LIMIT 1", {"p": project}
    ).dicts()
    store.insert(
        "evaluations",
        [
            {
                "project": project,
                "evaluation_id": str(uuid.uuid4()),
                "name": "thumbs",
                "source": "user_feedback",
                "score": 0,
                **row,
            }
        ],
    )
    where = "(trace_id, span_id) IN (SELECT trace_id, span_id FROM evaluations WHERE source = 'user_feedback' AND score < 0.5)"
    ready, problems = checked([rule(project, stream="targeted", where=where)], SpanScoringStore(store))
    assert not problems
    run(store, *ready)
    harvested = [found for found in rows(store, project) if found["name"] == "length"]
    assert [(found["trace_id"], found["sample_weight"]) for found in harvested] == [(row["trace_id"], 0.0)]


def test_b27_spans_of_an_insert_that_is_still_under_way_are_not_passed_over(store):
    project = fresh()
    queue = SpanScoringStore(store)
    now = queue.now()
    assert queue.visible_until(now) == now
    store.insert_began_ms = now - 60_000  # a slow insert: its rows will carry a time that is already past
    try:
        worker = RuleWorker(rule(project, backfill_from=None), queue)
        worker.position = now - 120_000
        asyncio.run(worker.tick(1.0))
        assert worker.position == now - 60_001
    finally:
        store.insert_began_ms = None


def fill_now(store: Store, project: str, n: int) -> None:
    said = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "yes please"}]}])
    ids = [{"trace_id": uuid.uuid4().hex, "span_id": uuid.uuid4().hex[:16]} for _ in range(n)]
    shared = {"project": project, "operation": "chat", "start_time": datetime.now(UTC), "input": "how?", "output": said}
    store.insert("spans", [{**shared, **one} for one in ids])


def test_auto_probabilities_are_learned_known_and_counted_by_evaluation_efficiency(store):
    project = fresh()
    auto = rule(project, evaluators=[f"{HERE}:length"], probability="auto", interval=0.02, min_probability=0.05)
    fill_now(store, project, 40)
    run(store, auto)
    first = rows(store, project)
    # Forty calls under the largest variance: nearly all, to be sure to 0.02.
    assert len(first) >= 34
    assert all(0.9 < float(row["metadata"]["probability"]) <= 1 for row in first)
    fill_now(store, project, 40)
    run(store, auto)  # all scores were alike: nothing is left to learn where nothing varies
    later = [row for row in rows(store, project) if float(row["metadata"]["probability"]) < 0.9]
    assert len(rows(store, project)) == len(first) + len(later) < len(first) + 20
    assert all(float(row["metadata"]["probability"]) >= 0.05 for row in later)
    found = rows(store, project)
    assert all(row["sample_weight"] == pytest.approx(1 / float(row["metadata"]["probability"])) for row in found)
    (line,) = catalog.get("evaluation_efficiency").run(store, project=project).dicts()
    assert (line["metric"], line["mean"]) == ("length", pytest.approx(10.0))
    assert line["calls"] == len(rows(store, project))
    _, problems = read_rules([{"name": "x", "evaluators": [f"{HERE}:length"], "probability": "auto"}])
    assert "needs interval" in str(problems[0])
