"""The e-detector asked through a store: it finds small falls, and healthy scores of awkward kinds raise nothing."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from evalspan.evaluators.drift.report import find_drift
from evalspan.queries import catalog, drift_references
from evalspan.queries.store.client import Store

UNTIL = datetime(2026, 6, 15, tzinfo=UTC)
WATCHED = 30


def insert(store: Store, project: str, metrics: dict[str, np.ndarray]) -> None:
    """Of each metric a row of scores for each day, the last of which ends at UNTIL."""
    store.insert(
        "evaluations",
        [
            {
                "project": project,
                "evaluation_id": str(uuid.UUID(int=number)),
                "name": name,
                "evaluator_version": "1",
                "source": "code",
                "trace_id": f"{project}{name}{number}",
                "score": float(score),
                "span_time": UNTIL - timedelta(days=len(scores) - day - (i + 0.5) / len(values)),
            }
            for name, scores in metrics.items()
            for day, values in enumerate(scores)
            for i, score in enumerate(values)
            for number in (day * 1000 + i,)
        ],
    )


def alarms(store: Store, project: str, reference: int, **more: Any) -> dict[str, int]:
    """The number of each metric's first alarming window."""
    given = {"since_s": WATCHED * 86400, "baseline_s": reference * 86400, "horizon": WATCHED, "direction": "decrease"}
    rows = catalog.get("e_detector").run(store, project=project, until=UNTIL.isoformat(), **{**given, **more}).dicts()
    found: dict[str, int] = {}
    for row in rows:
        if row["alarm"]:
            found.setdefault(row["metric"], row["position"])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("reference", [7, 28])
def test_b01_small_falls_are_found_as_a_calibrated_cusum_finds_them(store: Store, reference: int) -> None:
    rng = np.random.default_rng(21)
    project, count = f"power-{reference}", 16
    metrics = {}
    for number in range(count):
        for fall in (0.0, 0.25, 0.4):
            scores = rng.normal(4, 1, (reference + WATCHED, 20))
            scores[reference + 5 :] -= fall
            metrics[f"{fall}-{number}"] = scores
    insert(store, project, metrics)
    found = alarms(store, project, reference)
    share = {fall: sum(name.startswith(f"{fall}-") for name in found) / count for fall in (0.0, 0.25, 0.4)}
    # The CUSUM with 5 % false alarms finds 0.78 and 0.99 (7 windows), 0.97 and 1.00 (28); three standard errors of 16.
    oracle = {7: (0.78, 0.99), 28: (0.97, 1.0)}[reference]
    assert share[0.0] <= 0.05 + 3 * (0.05 * 0.95 / count) ** 0.5
    for fall, power in zip((0.25, 0.4), oracle, strict=True):
        least = 0.85 * power
        assert share[fall] >= least - 3 * (least * (1 - least) / count) ** 0.5, (fall, share)
    delays = [at - 5 for name, at in found.items() if name.startswith("0.4-") and at > 5]
    assert np.median(delays) <= 1.3 * {7: 7, 28: 4}[reference]


KINDS: dict[str, Any] = {
    "few": lambda rng, size: rng.choice([1.0, 2, 3, 4, 5], size=size, p=[0.03, 0.06, 0.18, 0.42, 0.31]),
    "ceiling": lambda rng, size: rng.choice([1.0, 5.0], size=size, p=[0.03, 0.97]),
    "rare": lambda rng, size: (rng.random(size) < 0.98) * 1.0,
    "always": lambda _, size: np.ones(size),
    "skewed": lambda rng, size: -rng.lognormal(0, 1, size),
}


@pytest.mark.slow
def test_b01_healthy_scores_of_awkward_kinds_raise_no_more_than_they_may(store: Store) -> None:
    rng = np.random.default_rng(22)
    count = 12
    size = (9 + WATCHED, 8)
    insert(
        store,
        "awkward",
        {f"{kind}-{number}": draw(rng, size) for kind, draw in KINDS.items() for number in range(count)},
    )
    found = alarms(store, "awkward", 9)
    total = count * len(KINDS)
    assert len(found) <= total * (0.05 + 3 * (0.05 * 0.95 / total) ** 0.5), found
    assert not [name for name in found if name.startswith("always")]


@pytest.mark.slow
def test_the_first_failure_after_perfect_scores_is_no_alarm_and_all_of_them_failing_is(store: Store) -> None:
    perfect = np.ones((7 + WATCHED, 20))
    once, broken = perfect.copy(), perfect.copy()
    once[20, 3] = 0.0
    broken[-1] = 0.0
    insert(store, "perfect", {"once": once, "broken": broken})
    assert alarms(store, "perfect", 7) == {"broken": WATCHED}


def week(rng: np.random.Generator, day: int) -> np.ndarray:
    """A day of a strongly weekly application: nights and weekends a point lower, and fewer calls."""
    weekend = (UNTIL + timedelta(days=day)).weekday() >= 5
    return np.concatenate(
        [rng.normal(4 - weekend - (hour < 8), 0.7, 2 if hour < 8 or weekend else 6) for hour in range(24)]
    )


@pytest.mark.slow
def test_seasons_are_taken_out_so_that_mondays_and_saturdays_raise_nothing(store: Store) -> None:
    rng = np.random.default_rng(23)
    for back in range(36):
        values = week(rng, -back - 1)
        insert_day(store, "seasons", values, back)
    for back in (0, 1, 2, 3):  # a Sunday, Saturday, Friday and Thursday end here
        end = UNTIL - timedelta(days=back)
        rows = catalog.get("e_detector").run(
            store, project="seasons", until=end.isoformat(), since_s=86400, window_s=3 * 3600, horizon=8, min_n=5
        )
        assert {row["alarm"] for row in rows.dicts()} == {""}, f"{end:%A}"


def insert_day(store: Store, project: str, values: np.ndarray, back: int) -> None:
    begin = UNTIL - timedelta(days=back + 1)
    weekend = begin.weekday() >= 5
    hours = np.concatenate([[hour] * (2 if hour < 8 or weekend else 6) for hour in range(24)])
    store.insert(
        "evaluations",
        [
            {
                "project": project,
                "evaluation_id": str(uuid.uuid4()),
                "name": "m",
                "evaluator_version": "1",
                "source": "code",
                "trace_id": uuid.uuid4().hex,
                "score": float(value),
                "span_time": begin + timedelta(hours=float(hour), minutes=float(rng_minute)),
            }
            for value, hour, rng_minute in zip(values, hours, np.arange(len(values)) % 60, strict=True)
        ],
    )


@pytest.mark.slow
def test_a_held_change_stays_out_of_the_reference_until_it_is_accepted(store: Store) -> None:
    rng = np.random.default_rng(24)
    scores = rng.normal(4, 1, (28 + WATCHED, 20))
    scores[20:] -= 0.5  # long before the watched week
    insert(store, "held", {"m": scores})
    week_of = {"since_s": 7 * 86400, "baseline_s": 28 * 86400, "horizon": 7}
    assert alarms(store, "held", 28, **week_of) == {}, "the slow drop has become the reference"
    drift_references.hold(store, "m", UNTIL - timedelta(days=38), project="held")
    assert alarms(store, "held", 28, **week_of)
    drift_references.accept(store, "m", UNTIL - timedelta(days=38), project="held", now=UNTIL - timedelta(days=3))
    assert alarms(store, "held", 28, **week_of) == {}


def traffic(store: Store, project: str, *, grown: bool, fall: float) -> None:
    """Scores that depend on segment, topic and length of the input; since day 30 of 44 their mix, or quality within, moves."""
    rng = np.random.default_rng(31)
    rows, topics = [], []
    for day in range(44):
        late = day >= 30
        for i in range(40):
            hard = rng.random() < (0.5 if late and grown else 0.2)
            long = rng.random() < (0.6 if late and grown else 0.3)
            new = rng.random() < (0.5 if late and grown else 0.25)
            trace = f"{project}{day:03d}{i:03d}"
            at = UNTIL - timedelta(days=44 - day - (i + 0.5) / 40)
            common = {
                "project": project,
                "trace_id": trace,
                "span_time": at,
                "source": "code",
                "evaluator_version": "1",
            }
            score = 4 - 1.5 * hard - 1.2 * long - 1.0 * new - fall * late + rng.normal(0, 0.3)
            told = {"name": "quality", "segment": "reseller" if hard else "private", "input_size": 13 if long else 8}
            rows.append({**common, **told, "evaluation_id": str(uuid.UUID(int=day * 1000 + i)), "score": score})
            topic = {"name": "input_topic", "label": "returns" if new else "prices", "passed": "unknown"}
            topics.append({**common, **topic, "evaluation_id": str(uuid.UUID(int=(1 << 40) + day * 1000 + i))})
    store.insert("evaluations", [*rows, *topics])


@pytest.mark.slow
def test_a_change_of_mix_is_told_from_a_change_within_and_a_small_one_within_is_found_sooner(store: Store) -> None:
    given = {"since_s": 14 * 86400, "horizon": 14, "metric": "quality"}
    found = {}
    for project, grown, fall in (("mix-only", True, 0.0), ("within-only", False, 0.2)):
        traffic(store, project, grown=grown, fall=fall)
        found[project] = [alarms(store, project, 28, adjust=adjust, **given).get("quality") for adjust in (0, 1)]
    plain, adjusted = found["mix-only"]
    assert plain is not None
    assert adjusted is None
    plain, adjusted = found["within-only"]
    assert adjusted is not None
    assert plain is None or adjusted < plain
    report = find_drift(store, project="mix-only", metric="quality", since=timedelta(days=14), until=UNTIL)
    assert [move.found_by for move in report.moves if move.found_by in ("mix", "e-detector")] == ["mix"]
    report = find_drift(store, project="within-only", metric="quality", since=timedelta(days=14), until=UNTIL)
    assert "e-detector" in [move.found_by for move in report.moves]
