"""No interval leaves the scale of what it estimates: a pass rate is not above 1, two of them do not differ by 2."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from evalspan.dashboard.explore import mean_interval
from evalspan.evaluators.experiments.compare import compare_runs
from evalspan.evaluators.experiments.record import CaseResult, Metric
from evalspan.evaluators.reports.score_report import summaries
from evalspan.evaluators.runner import EvaluationResult
from evalspan.evaluators.scoring.outputs import Scored
from evalspan.evaluators.statistics.decomposition import kitagawa
from evalspan.evaluators.statistics.samples import Interval
from evalspan.queries import catalog
from evalspan.queries.store.client import Store

UNTIL = datetime(2026, 6, 15, tzinfo=UTC)
DIFFERENCES = {"before_after", "paired_before_after", "version_comparison"}
GIVEN: dict[str, Any] = {"metric": "edge", "old": "1", "new": "2", "after": "b", "before": "a", "window_s": 86400}


@pytest.fixture(scope="module")
def edge(store: Store) -> str:
    """Few scores close to 0 and 1 on both sides of an edit, of two versions, some of them people's."""
    project = f"edge-{uuid.uuid4().hex}"
    spans, scores = [], []
    for day in range(28):
        for place in range(2 + day % 2):
            ids = {"project": project, "trace_id": uuid.uuid4().hex, "span_id": uuid.uuid4().hex[:16]}
            at = UNTIL - timedelta(days=day + 0.5, minutes=place)
            side = {"system_hash": "b" if day < 7 else "a", "prompt_version": "b" if day < 7 else "a", "service": "s"}
            spans.append({**ids, **side, "start_time": at, "operation": "chat", "input": f"question {place}"})
            for version, source in (("1", "code"), ("2", "code"), ("h", "human")):
                if source == "human" and day % 3:
                    continue
                value = (0.02, 0.98, 1.0)[(day + place + len(version) + (source == "human")) % 3] if day < 14 else 1.0
                row = {"name": "edge", "evaluator_version": version, "source": source, "score": value, **side}
                row |= {
                    "evaluation_id": str(uuid.uuid4()),
                    "span_time": at,
                    "created_at": at,
                    "sample_weight": 1 + 30 * place,
                }
                scores.append({**ids, **row})
    store.insert("spans", spans)
    store.insert("evaluations", scores)
    return project


def pairs(columns: list[str]) -> list[tuple[str, str]]:
    return [(one, one[:-3] + "high") for one in columns if one.endswith("low") and one[:-3] + "high" in columns]


PAGES = [f"pages/{name}" for name in ("score_names", "score_slices", "score_trend")]
WITH_INTERVALS = [
    name
    for name in [*catalog.names(), *PAGES]
    if pairs([one.name for one in catalog.get(name).columns]) and name not in ("cusum", "alert_history")
]
ANSWERED = set("score_trend before_after segments e_detector confidence_band corrected_mean version_comparison".split())


@pytest.mark.parametrize("name", [*WITH_INTERVALS, PAGES[1]])
def test_intervals_of_scores_between_0_and_1_stay_there_in_every_query(store: Store, edge: str, name: str) -> None:
    query = catalog.get(name)
    days = 7 if name in ("segments", "e_detector") else 28
    given = {**GIVEN, "project": edge, "name": "edge", "until": UNTIL.isoformat(), "since_s": days * 86400, "min_n": 1}
    known = {one.name for one in query.parameters}
    asked = {key: value for key, value in given.items() if key in known} | (
        {"by": "system_hash"} if "by" in known else {}
    )
    rows = query.run(store, **asked).dicts()
    assert rows or name not in {*ANSWERED, *PAGES}
    for row in rows:
        for low, high in pairs(list(row)):
            if row[low] is None or "cost" in low:
                continue
            least = -1 if name in DIFFERENCES or low.startswith("difference") else 0
            assert least <= row[low] <= row[high] <= 1, (low, row)


def case(name: str, value: float, passed: bool) -> CaseResult:
    return CaseResult(
        example_id=name,
        partition="golden",
        content_hash="",
        input={},
        model_name="",
        prompt_version="",
        model_output="x",
        metrics=[EvaluationResult("m", "1", value, passed=passed)],
        latency_ms=1,
        timestamp="2026-01-01T00:00:00+00:00",
        status="passed" if passed else "failed",
        passed=passed,
        failure_reason=None,
    )


@pytest.mark.parametrize("n", [2, 3, 5, 12])
@pytest.mark.parametrize("direction", ["higher", "lower"])
@pytest.mark.parametrize("shape", ["all lost", "all won", "one lost", "half"])
def test_no_comparison_of_the_gate_differs_by_more_than_1(n: int, direction: str, shape: str) -> None:
    old = [case(str(one), float(shape != "all won"), shape != "all won") for one in range(n)]
    lost = {"all lost": n, "one lost": 1, "half": n // 2, "all won": 0}[shape]
    new = [case(str(one), float(one >= lost), one >= lost) for one in range(n)]
    found = compare_runs(old, new, [Metric("m", "1", "reference", direction, None, "")])
    assert {one.metric for one in found} == {"pass rate", "m"}
    for one in found:
        assert -1 <= one.interval[0] <= one.difference <= one.interval[1] <= 1, one


def test_a_metric_on_another_scale_keeps_its_whole_interval() -> None:
    old = [case(str(one), 4.0 + one % 2, True) for one in range(4)]
    new = [case(str(one), 1.0 + 3 * (one % 2), True) for one in range(4)]
    found = {one.metric: one for one in compare_runs(old, new, [Metric("m", "1", "judge", "higher", None, "")])}
    assert found["m"].interval[0] < -3


@pytest.mark.parametrize("values", [[1.0], [1.0, 0.9], [0.0, 0.02, 0.2], [1.0] * 7, [0.0, 1.0]])
def test_scores_of_a_file_are_summed_up_within_their_scale(values: list[float]) -> None:
    scored = [
        Scored(str(place), "", EvaluationResult("m", "1", value, passed=value > 0.5))
        for place, value in enumerate(values)
    ]
    (found,) = summaries(scored)
    assert found.low is not None
    assert 0 <= found.low <= (found.mean or 0) <= (found.high or 0) <= 1
    assert 0 <= (found.pass_low or 0) <= (found.pass_high or 0) <= 1


def test_what_explains_a_change_stays_within_the_scale() -> None:
    draw = random.Random(1)
    for _ in range(50):
        before, after = ([draw.choice([0.0, 1.0]) for _ in range(4)] for _ in range(2))
        found = kitagawa(before, after, [draw.choice("ab") for _ in before], [draw.choice("ab") for _ in after])
        parts = [one.interval for one in [*found.mix_parts, *found.within_parts]]
        for low, high in [found.interval, found.mix_interval, found.within_interval, *parts]:
            assert -1 <= low <= high <= 1


def test_the_pages_means_stay_within_the_scale() -> None:
    row = {"mean": 0.95, "standard_error": 0.2, "lowest": 0.0, "highest": 1.0}
    low, high = mean_interval(row)
    assert (round(low, 3), high) == (0.558, 1.0)
    assert mean_interval({**row, "highest": 5.0})[1] > 1


def test_an_interval_that_lies_outside_becomes_the_nearest_end() -> None:
    assert Interval(1.2, 1.4).within(0, 1) == (1, 1)
    assert Interval(float("-inf"), float("inf")).within(0, 1) == (0, 1)
