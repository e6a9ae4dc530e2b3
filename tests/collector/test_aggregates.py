"""The JSON line of each window of scores: what it holds, and that nothing ends the lines after it."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from evalspan.collector.online import aggregates
from evalspan.errors import ConfigError
from evalspan.evaluators import statistics as st
from evalspan.evaluators.online import EvaluationConfig
from evalspan.queries.store.client import Store

END = datetime(2026, 6, 15, 12, tzinfo=UTC)


def evaluation(project: str, when: datetime, **more: Any) -> dict[str, Any]:
    return {
        "project": project,
        "evaluation_id": str(uuid.uuid4()),
        "evaluator_version": "3",
        "source": "llm_judge",
        "trace_id": uuid.uuid4().hex,
        "span_id": uuid.uuid4().hex[:16],
        "span_time": when,
        **more,
    }


def test_w05_w08_p06_a_window_is_one_json_line_weighted_with_n_interval_p10_and_share_unscored(store: Store) -> None:
    inside, values, weights = END - timedelta(seconds=30), [1.0, 2.0, 4.0, 5.0], [1.0, 1.0, 4.0, 4.0]
    rows = [
        evaluation("sums", inside, name="helpful", score=v, sample_weight=w)
        for v, w in zip(values, weights, strict=True)
    ]
    rows += [evaluation("sums", inside, name="helpful", error="timeout", sample_weight=10.0)]
    rows += [evaluation("sums", inside, name="hallucination", passed="fail" if i < 5 else "pass") for i in range(50)]
    rows += [evaluation("sums", END + timedelta(seconds=s), name="helpful", score=1.0) for s in (-61, 0)]
    store.insert("evaluations", rows)
    line = aggregates.line_of(store, "sums", END, 60)
    assert "\n" not in line
    said = json.loads(line)
    assert (said["window_start"], said["window_end"]) == ("2026-06-15T11:59:00Z", "2026-06-15T12:00:00Z")
    scores = {one["metric"]: one for one in said["scores"]}
    helpful, hallucination = scores["helpful"], scores["hallucination"]
    mean = st.weighted_mean(values, [1 / w for w in weights]).mean
    assert helpful["mean"] == pytest.approx(mean)
    assert helpful["low"] < mean < helpful["high"]
    assert (helpful["sample_count"], helpful["p10"], helpful["share_unscored"]) == (4, 1.0, 0.5)
    assert (helpful["failure_rate"], helpful["verdicts"], helpful["evaluator_version"]) == (None, 0, "3")
    bounds = st.proportion_interval(5, 50)
    assert hallucination["failure_rate"] == pytest.approx(0.1)
    assert (hallucination["failure_low"], hallucination["failure_high"]) == pytest.approx(bounds, abs=1e-9)


def test_w05_a_window_without_any_evaluation_has_no_line(store: Store) -> None:
    assert aggregates.line_of(store, "nobody", END, 60) == ""


@pytest.mark.slow
async def test_w05_b28_every_window_is_said_once_and_a_failure_ends_only_its_own(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[datetime] = []

    def answer(store: Store, project: str, end: datetime, every_s: int) -> str:
        asked.append(end)
        if len(asked) == 1:
            raise TypeError("a score was None")
        return end.isoformat()

    monkeypatch.setattr(aggregates, "line_of", answer)
    said: list[str] = []
    twice = asyncio.Event()

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 2:
            twice.set()

    # Set at the second line, it also ends the task.
    await asyncio.wait_for(aggregates.follow(None, ["p"], 1, say, twice), 20)  # type: ignore[arg-type]
    assert said == [end.isoformat() for end in asked[1:]]
    assert len(set(asked)) == len(asked) == 3
    assert "a score was None" in caplog.text


@pytest.mark.slow
async def test_w05_windows_go_on_after_the_clock_was_put_back_by_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    said, moved, enough, real = list[str](), list[bool](), asyncio.Event(), time.time
    monkeypatch.setattr(time, "time", lambda: real() - 86_400 * bool(moved))
    monkeypatch.setattr(aggregates, "line_of", lambda _store, _project, end, _every_s: end.isoformat())

    def say(line: str) -> None:
        said.append(line)
        moved.append(True)
        if len(said) == 3:
            enough.set()

    await asyncio.wait_for(aggregates.follow(None, ["p"], 1, say, enough), 20)  # type: ignore[arg-type]
    assert said[0] > said[2] > said[1], "each window of the clock that counts now is said once"


def test_w05_a_minute_is_the_default_zero_is_off_and_less_is_refused() -> None:
    assert EvaluationConfig().aggregates_every_s == 60
    assert EvaluationConfig(aggregates_every_s=0).aggregates_every_s == 0
    with pytest.raises(ConfigError):
        EvaluationConfig(aggregates_every_s=-1)


def test_of_more_metrics_than_a_line_takes_those_with_the_most_samples_are_said(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregates, "MAX_METRICS", 2)
    for name, count in (("a", 1), ("b", 3), ("c", 2)):
        row = {"project": "many-metrics", "name": name, "source": "code", "span_time": END - timedelta(seconds=30), "score": 1.0, "passed": "pass", "sample_weight": 1.0}  # fmt: skip
        store.insert("evaluations", [{**row, "evaluation_id": str(uuid.uuid4())} for _ in range(count)])
    said = json.loads(aggregates.line_of(store, "many-metrics", END, 60))
    assert ([one["metric"] for one in said["scores"]], said["scores_left_out"]) == (["b", "c"], 1)
