"""The drift report: what people and exit codes are told."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from evalspan.errors import UsageError
from evalspan.evaluators.cli import drift as command
from evalspan.evaluators.drift.report import find_drift
from evalspan.queries.drift_extent import Extent, extent
from evalspan.queries.durations import parse_duration
from evalspan.queries.store.client import Store

from ..borrowed import Borrowed

UNTIL = datetime(2026, 6, 15, tzinfo=UTC)


def fill(
    store: Store,
    project: str,
    *,
    drop: float,
    n: int = 300,
    days: float = 14,
    segment: str = "",
    prompts: tuple[str, str] = ("plain", "edited"),
) -> None:
    """Half of the traffic before an edit of the prompt, half after it."""
    rng = np.random.default_rng(3)
    evaluations, spans = [], []
    for i in range(n):
        time = UNTIL - timedelta(days=days * (i + 0.5) / n)
        late = i < n / 2
        span: dict[str, Any] = {
            "project": project,
            "trace_id": uuid.uuid4().hex,
            "span_id": uuid.uuid4().hex[:16],
            "system_hash": prompts[late],
            "request_model": "m-1",
        }
        spans.append({**span, "start_time": time, "operation": "chat", "output": f"answer {i}"})
        where = segment if segment and i % 10 == 0 else ""
        hit = late and (where == segment)
        for metric, fall in (("helpful", drop), ("polite", 0.0)):
            evaluations.append(
                {
                    **span,
                    "evaluation_id": str(uuid.uuid4()),
                    "name": metric,
                    "evaluator_version": "1",
                    "source": "llm_judge",
                    "score": float(rng.normal(4, 0.5)) - fall * hit,
                    "span_time": time,
                    "segment": where,
                }
            )
    store.insert("spans", spans)
    store.insert("evaluations", evaluations)


@pytest.mark.slow
def test_a01_the_report_says_what_since_when_and_what_changed(store: Store) -> None:
    fill(store, "drift-found", drop=1.0)
    report = find_drift(store, project="drift-found", until=UNTIL)
    assert report.verdict == "drift"
    assert {move.metric for move in report.moves} == {"helpful"}
    first = report.moves[0]
    assert (first.direction, first.since) == ("decrease", UNTIL - timedelta(days=7))
    assert first.low < 3.0 < first.high
    assert len(first.traces) == 5
    assert first.traces[0]["score"] <= first.traces[4]["score"] < 3
    assert (report.changes[0]["dimension"], report.changes[0]["value"]) == ("system_hash", "edited")


@pytest.mark.slow
def test_after_an_outage_the_mean_is_that_of_all_scores_not_of_the_windows_that_vary(store: Store) -> None:
    """Windows in which everything failed have no spread; the one mixed window must not speak for all of them."""
    project = "drift-outage"
    start = UNTIL - timedelta(days=14)
    rows = []
    for hour in range(14 * 24):
        time = start + timedelta(hours=hour, minutes=1)
        for number in range(4):
            failed = hour >= 8 * 24 and not (hour < 8 * 24 + 12 and number % 2)
            rows.append(
                {
                    "project": project,
                    "evaluation_id": str(uuid.uuid4()),
                    "trace_id": uuid.uuid4().hex,
                    "name": "polite",
                    "evaluator_version": "1",
                    "source": "code",
                    "score": float(not failed),
                    "span_time": time,
                }
            )
    store.insert("evaluations", rows)
    (move,) = find_drift(store, project=project, until=UNTIL).moves
    assert (move.direction, move.mean_before, move.n_after) == ("decrease", 1.0, 576)
    assert move.mean_after == pytest.approx(24 / 576, abs=0.01)


@pytest.mark.slow
def test_g16_the_report_tells_input_drift_beside_quality(store: Store) -> None:
    fill(store, "drift-inputs", drop=0.0)
    spans = [
        {
            "project": "drift-inputs",
            "trace_id": uuid.uuid4().hex,
            "span_id": uuid.uuid4().hex[:16],
            "start_time": UNTIL - timedelta(days=14 * (i + 0.5) / 300),
            "operation": "chat",
            "request_model": "m-1",
            "input": "where is my parcel from the reseller " * 3 if i < 150 else "how do i reset my password",
        }
        for i in range(300)
    ]
    store.insert("spans", spans)
    report = find_drift(store, project="drift-inputs", until=UNTIL)
    assert report.verdict == "stable"
    told = " ".join(report.inputs)
    assert "input_characters" in told
    assert "reseller" in told


@pytest.mark.slow
def test_healthy_traffic_is_stable_and_little_of_it_is_too_thin(store: Store) -> None:
    fill(store, "drift-none", drop=0.0)
    assert find_drift(store, project="drift-none", until=UNTIL).verdict == "stable"
    fill(store, "drift-thin", drop=3.0, n=8)
    thin = find_drift(store, project="drift-thin", until=UNTIL)
    assert (thin.verdict, sorted(thin.thin)) == ("insufficient_data", ["helpful", "polite"])
    assert find_drift(store, project="drift-empty", until=UNTIL).verdict == "insufficient_data"


@pytest.mark.slow
def test_a04_a_broken_segment_is_found_behind_a_healthy_mean(store: Store) -> None:
    fill(store, "drift-segment", drop=2.0, n=600, segment="reseller")
    report = find_drift(store, project="drift-segment", metric="helpful", by="segment", until=UNTIL)
    assert ("segment", "reseller") in {(move.dimension, move.value) for move in report.moves}


@pytest.mark.slow
def test_without_an_earlier_period_the_first_half_is_the_baseline(store: Store) -> None:
    fill(store, "drift-halves", drop=1.0, days=6)
    report = find_drift(store, project="drift-halves", until=UNTIL)
    assert report.verdict == "drift"
    assert any("first half" in note for note in report.notes)


def test_unknown_names_are_refused_with_the_known_ones(store: Store) -> None:
    fill(store, "drift-names", drop=0.0, n=20)
    with pytest.raises(UsageError) as refused:
        find_drift(store, project="drift-names", metric="helpfull", until=UNTIL)
    assert "helpful, polite" in refused.value.hint
    with pytest.raises(UsageError):
        find_drift(store, project="drift-names", by="colour")
    with pytest.raises(UsageError):
        parse_duration("7 days")


def calls(project: str, slower: float = 1.0, failing: float = 0.02, n: int = 600) -> list[dict[str, Any]]:
    """Two weeks of calls; in the second one the checkout service is `slower` and fails more often."""
    rng = np.random.default_rng(8)
    spans = []
    for i in range(n):
        late, service = i < n / 2, ["checkout", "search"][i % 2]
        hit = late and service == "checkout"
        failed = rng.random() < (failing if hit else 0.02)
        spans.append(
            {
                "project": project,
                "trace_id": uuid.uuid4().hex,
                "span_id": uuid.uuid4().hex[:16],
                "start_time": UNTIL - timedelta(days=14 * (i + 0.5) / n),
                "service": service,
                "operation": "chat",
                "request_model": "m-1",
                "status": "ERROR" if failed else "OK",
                "error_type": "RateLimitError" if failed else "",
                "duration_ns": int(1e9 * rng.lognormal(0, 0.4) * (slower if hit else 1)),
                "input_tokens": int(rng.integers(100, 200)),
                "output_tokens": int(rng.integers(10, 20)),
                "cost_usd": 0.001,
            }
        )
    return spans


@pytest.mark.slow
def test_errors_and_latency_are_watched_like_scores(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.insert("spans", calls("drift-usage", slower=2.0, failing=0.3))
    slow = find_drift(store, project="drift-usage", metric="latency", service="checkout", until=UNTIL)
    (move,) = [one for one in slow.moves if not one.dimension]
    assert (move.of, move.direction, move.since) == ("usage", "increase", UNTIL - timedelta(days=7))
    assert np.exp(move.mean_after - move.mean_before) == pytest.approx(2.0, rel=0.15)
    failing = find_drift(store, project="drift-usage", metric="error_rate", service="checkout", until=UNTIL)
    assert failing.moves[0].direction == "increase"
    assert "RateLimitError" in failing.moves[0].traces[0]["explanation"]
    assert find_drift(store, project="drift-usage", metric="latency", service="search", until=UNTIL).verdict == "stable"
    assert find_drift(store, project="drift-usage", metric="cost", until=UNTIL).verdict == "stable"
    by = find_drift(store, project="drift-usage", metric="error_rate", by="service", until=UNTIL)
    assert {(one.dimension, one.value) for one in by.moves if one.dimension} == {("service", "checkout")}
    monkeypatch.setattr(command, "connect", lambda _: Borrowed(store))
    arguments = ["--project", "drift-usage", "--until", "2026-06-15", "--service", "checkout"]
    told = CliRunner().invoke(command.drift, arguments)
    assert told.exit_code == 3
    assert "error_rate rose from" in told.output
    assert "ms] (geometric mean)" in told.output
    assert "no scores: rules in [evaluation]" in told.output


@pytest.mark.slow
@pytest.mark.parametrize(("drop", "n", "code"), [(1.0, 300, 3), (0.0, 300, 0), (1.0, 6, 4)])
def test_exit_codes_and_formats(store: Store, monkeypatch: pytest.MonkeyPatch, drop: float, n: int, code: int) -> None:
    project = f"drift-exit-{code}"
    fill(store, project, drop=drop, n=n)
    monkeypatch.setattr(command, "connect", lambda _: Borrowed(store))
    for format_ in ("table", "json", "csv") if code == 3 else ("table",):
        arguments = ["--project", project, "--until", "2026-06-15", "--format", format_]
        result = CliRunner().invoke(command.drift, arguments)
        assert result.exit_code == code, result.output
        assert format_ == "csv" or "helpful" in result.output


@pytest.mark.slow
@pytest.mark.parametrize("world", ["unedited", "edited", "segments", "healthy", "nothing"])
def test_statements_that_could_find_nothing_change_no_verdict_by_being_left_out(
    store: Store, world: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = f"drift-extent-{world}"
    if world != "nothing":
        segment, drop = "reseller" if world == "segments" else "", 0.0 if world == "healthy" else 1.0
        fill(
            store, project, drop=drop, segment=segment, prompts=("plain", "plain" if world == "unedited" else "edited")
        )
    told = find_drift(store, project=project, until=UNTIL)
    begun = UNTIL - timedelta(35)
    seen = extent(store, project=project, service="", environment="", metric="", begun=begun, until=UNTIL)
    assert (seen.has_mix, seen.has_calls) == (world == "segments", world != "nothing")
    everything = Extent(dict.fromkeys(seen.only), has_topics=True, has_calls=True)
    monkeypatch.setattr("evalspan.evaluators.drift.report.extent", lambda *_, **__: everything)
    whole = find_drift(store, project=project, until=UNTIL)
    assert (told.verdict, told.inputs, told.changes) == (whole.verdict, whole.inputs, whole.changes)
    assert {(one.metric, one.direction) for one in told.moves} == {(one.metric, one.direction) for one in whole.moves}
    if world == "unedited":
        # One value is no dimension to compare by, and the detector has all of alpha, half of it for each of two metrics.
        assert [(one.found_by, one.dimension) for one in told.moves] == [("e-detector", "")]
        assert "at most 0.025" in told.moves[0].certainty
