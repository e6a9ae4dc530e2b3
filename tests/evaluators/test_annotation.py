"""Spot checks: drawn by probability, blind, kept apart by author, and used."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from evalspan.errors import UsageError
from evalspan.evaluators.calibration.annotation import agreement_report, draw, label_row, week_of
from evalspan.evaluators.cli import annotate as command
from evalspan.evaluators.cli.calibrate import calibrate_command
from evalspan.queries import named_query
from evalspan.queries.store.client import Store

from ..borrowed import Borrowed

NOW = datetime(2026, 6, 17, tzinfo=UTC)
LAST_WEEK = datetime(2026, 6, 8, tzinfo=UTC)


def fill(store: Store, project: str, n: int = 200, *, scored: bool = True) -> None:
    spans, rows = [], []
    for i in range(n):
        span: dict[str, Any] = {
            "project": project,
            "trace_id": uuid.uuid4().hex,
            "span_id": uuid.uuid4().hex[:16],
            "request_model": "m-1",
            "sample_weight": 2.0,
        }
        time = LAST_WEEK + timedelta(hours=i % 160)
        asked = json.dumps([{"role": "user", "parts": [{"type": "text", "content": f"question {i}"}]}])
        spans.append(
            {**span, "start_time": time, "operation": "chat", "input": asked, "output": f"secret-model answer {i}"}
        )
        if scored:
            rows.append({**span, "evaluation_id": str(uuid.uuid4()), "name": "m", "evaluator_version": "7", "source": "llm_judge", "score": 0.123, "passed": "fail", "span_time": time, "sample_weight": 4.0})  # fmt: skip
    store.insert("spans", spans)
    store.insert("evaluations", rows)


def test_a03_p01_twenty_calls_are_drawn_by_a_recorded_probability_the_same_for_everybody(store: Store) -> None:
    fill(store, "draw")
    ann, bob = (draw(store, metric="m", author=who, project="draw", now=NOW) for who in ("ann", "bob"))
    assert [call["span_id"] for call in ann.calls] == [call["span_id"] for call in bob.calls]
    assert (len(ann.calls), ann.population, ann.week) == (20, 200, "2026-W24")
    assert {call["probability"] for call in ann.calls} == {0.1}
    more = draw(store, metric="m", author="ann", project="draw", count=50, now=NOW)
    assert [call["span_id"] for call in more.calls][:20] == [call["span_id"] for call in ann.calls]
    row = label_row(ann, ann.calls[0], score=1.0, passed=True)
    assert (row["source"], row["author"], row["sample_weight"]) == ("human", "ann", 40.0)
    assert row["metadata"]["draw_probability"] == "0.1"


def test_a03_the_draw_prefers_no_part_of_the_week(store: Store) -> None:
    fill(store, "draw-even", n=800)
    hours = [
        (call["start_time"] - LAST_WEEK).total_seconds() / 3600
        for call in draw(store, metric="m", author="a", project="draw-even", count=200, now=NOW).calls
    ]
    # 200 draws from hours 0 to 159: the mean lies within four standard errors of the middle.
    assert abs(sum(hours) / 200 - 79.5) < 4 * 46.2 / 200**0.5


def test_labels_by_key_are_kept_apart_by_author_and_taken_up_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, "keys")
    monkeypatch.setattr(command, "connect", lambda _: Borrowed(store))
    monkeypatch.setattr(command, "_fed", lambda: True)
    options = ["--metric", "m", "--project", "keys", "--week", "2026-W24"]
    shown = CliRunner().invoke(command.annotate, [*options, "--author", "ann"], input="pfx" + "p" * 8 + "q")
    assert shown.exit_code == 0, shown.output
    assert "10 labels kept" in shown.output
    assert "question" in shown.output
    for secret in ("0.123", "m-1", "llm_judge"):
        assert secret not in shown.output
    left = {
        who: len(draw(store, metric="m", author=who, project="keys", week="2026-W24").open) for who in ("ann", "bob")
    }
    assert left == {"ann": 10, "bob": 20}
    graded = CliRunner().invoke(
        command.annotate, [*options, "--author", "bob", "--scale", "1-5"], input="15" + "s" * 18
    )
    assert "2 labels kept" in graded.output


@pytest.mark.slow
def test_p03_three_stakeholders_rate_the_same_twenty_calls_and_their_ratings_calibrate_the_metric(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, "walk")
    monkeypatch.setattr(command, "connect", lambda _: Borrowed(store))
    monkeypatch.setattr("evalspan.queries.store.client.connect", lambda _: Borrowed(store))
    monkeypatch.setattr(command, "_fed", lambda: True)
    same = ["--metric", "m", "--project", "walk", "--week", "2026-W24", "--scale", "1-5"]
    ratings = {"support": "1245" * 5, "customer-facing": "1245" * 5, "legal": "1144" * 5}
    for author, keys in ratings.items():
        done = CliRunner().invoke(command.annotate, [*same, "--author", author], input=keys)
        assert "20 labels kept" in done.output
    options = ["--metric", "m", "--project", "walk", "--good-from", "4", "--min-labels", "20", "--format", "json"]
    done = CliRunner().invoke(calibrate_command, options)
    report = json.loads(done.output)
    assert (done.exit_code, report["verdict"]) == (3, "may_not_gate")  # the evaluator failed all, people half
    assert (report["items"], report["raters"], report["labels"]) == (20, 3, 60)
    assert (report["confusion"]["caught"], report["confusion"]["false_alarms"]) == (10, 10)
    assert 0.7 < report["alpha"] < 1


@pytest.mark.slow
def test_p01_agreement_is_reported_and_corrects_from_forty_labels_on(store: Store) -> None:
    fill(store, "report")
    drawn = draw(store, metric="m", author="ann", project="report", count=60, now=NOW)
    rows = [label_row(drawn, call, score=float(i % 4 > 0), passed=i % 4 > 0) for i, call in enumerate(drawn.calls)]
    moment = datetime(2026, 6, 16, tzinfo=UTC)
    store.insert("evaluations", [{**row, "created_at": moment} for row in rows[:39]])
    few = agreement_report(store, metric="m", project="report", now=NOW)
    assert (few["corrected"], few["not_yet"]) == ([], ["m: 39 of 40 labels"])
    store.insert("evaluations", [{**row, "created_at": moment} for row in rows])
    enough = agreement_report(store, metric="m", project="report", now=NOW)
    assert enough["corrected"][0]["mean"] == pytest.approx(0.75)
    assert enough["weeks"][0]["pairs"] == 60
    assert enough["weeks"][0]["agreement"] == pytest.approx(0.25)


def test_calls_that_nobody_scored_can_be_labelled_too(store: Store) -> None:
    fill(store, "unscored", n=30, scored=False)
    assert len(draw(store, metric="m", author="a", project="unscored", now=NOW).calls) == 20


def test_weeks_and_counts_that_are_none_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert week_of("2026-W24")[0] == LAST_WEEK
    assert week_of("this", NOW)[0] == LAST_WEEK + timedelta(days=7)
    with pytest.raises(UsageError):
        week_of("2026-W77")
    with pytest.raises(UsageError):
        draw(store, metric="m", author="a", count=5)
    monkeypatch.setattr(command, "connect", lambda _: Borrowed(store))
    refused = CliRunner().invoke(command.annotate, ["--metric", "m", "--project", "nothing-here"])
    assert isinstance(refused.exception, UsageError)


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["trace", "conversation"])
def test_whole_traces_and_conversations_are_drawn_labelled_and_held_against_their_scores(
    store: Store, unit: str
) -> None:
    project = f"units-{unit}-{uuid.uuid4().hex[:6]}"
    spans, scores = [], []
    for i in range(60):
        trace, conversation, at = uuid.uuid4().hex, f"{project}-{i}", LAST_WEEK + timedelta(hours=2 * i)
        about = {"project": project, "trace_id": trace, "conversation_id": conversation, "service": "shop"}
        asked = json.dumps([{"role": "user", "parts": [{"type": "text", "content": f"question {i}"}]}])
        said = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": f"answer {i}"}]}])
        root = {**about, "span_id": f"{i:015x}1", "role": "agent", "operation": "invoke_agent", "agent_name": "desk", "input": asked, "output": said}  # fmt: skip
        used = {**about, "span_id": f"{i:015x}2", "parent_span_id": root["span_id"], "role": "tool", "operation": "execute_tool", "tool_name": "look", "input": "{}", "output": "found"}  # fmt: skip
        spans += [{**row, "start_time": at + timedelta(seconds=n)} for n, row in enumerate((root, used))]
        ids = {"trace_id": trace} if unit == "trace" else {"trace_id": ""}
        scores.append({**about, **ids, "span_id": "", "unit": unit, "evaluation_id": str(uuid.uuid4()), "name": "whole", "evaluator_version": "1", "source": "llm_judge", "score": float(i % 2), "passed": "pass" if i % 2 else "fail", "span_time": at})  # fmt: skip
    store.insert("spans", spans)
    store.insert("evaluations", scores)
    drawn = draw(store, metric="whole", author="ann", project=project, now=NOW)
    assert (len(drawn.calls), drawn.population) == (20, 60)
    assert all(
        "TOOL" in call["output"] and "look" in call["output"] and "question" in call["input"] for call in drawn.calls
    )
    rows = [label_row(drawn, call, score=1.0, passed=True) for call in drawn.calls]
    assert {(row["unit"], row["span_id"]) for row in rows} == {(unit, "")}
    assert {row["sample_weight"] for row in rows} == {3.0}
    store.insert("evaluations", rows)
    pairs = named_query("labelled_pairs").run(store, project=project, metric="whole").dicts()
    assert [pair["unit"] for pair in pairs] == [unit] * 20
    scored = {one["trace_id"] or one["conversation_id"]: one["score"] for one in scores}
    assert all(pair["score"] == scored[pair["trace_id"]] and pair["label"] == 1 for pair in pairs)
    assert not named_query("labelled_pairs").run(store, project=project, metric="whole", unit="span").rows
