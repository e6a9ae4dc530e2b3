"""Months of traffic on a synthetic clock, seen by the real rules: what is found, how soon, and how often for nothing."""

from __future__ import annotations

import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from evalspan.collector.alerts.built_in import BUILT_IN
from evalspan.collector.alerts.config import SinkConfig
from evalspan.collector.alerts.sinks import Sink
from evalspan.collector.alerts.watcher import Watcher
from evalspan.evaluators import statistics as st
from evalspan.queries.host.telemetry import Telemetry
from evalspan.queries.store.client import Store

START = datetime(2026, 1, 5, tzinfo=UTC)
WINDOW = timedelta(hours=6)
BEFORE, WINDOWS, N = 28, 100, 20
CHANGED = 30
SCORES, HEALTHY, BROKEN = (
    np.arange(1.0, 6.0),
    np.array([0.03, 0.07, 0.15, 0.45, 0.30]),
    np.array([0.35, 0.3, 0.2, 0.1, 0.05]),
)
DROP = 0.5
SHARE = DROP / float(SCORES @ (HEALTHY - BROKEN))
DEGRADED = (1 - SHARE) * HEALTHY + SHARE * BROKEN
SOAK = "--soak" in sys.argv
SEEDS, DROPS, LOOK_EVERY = (50, 11, 2) if SOAK else (12, 5, 5)


class Told(Sink):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(SinkConfig(name="told", kind="log"), lambda *_, **__: None)
        self.notices: list[dict[str, Any]] = []

    def enqueue(self, notice: dict[str, Any]) -> None:
        self.notices.append(notice)


def traffic(seed: int, *, drop: bool) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Scores of one application, one row a window; from CHANGED on half a point lower when `drop`."""
    rng = np.random.default_rng(seed)
    scores = rng.choice(SCORES, p=HEALTHY, size=(BEFORE + WINDOWS, N))
    if drop:
        late = BEFORE + CHANGED
        scores[late:] = rng.choice(SCORES, p=DEGRADED, size=(WINDOWS - CHANGED, N))
    return scores


def rows_of(name: str, scores: np.ndarray[Any, np.dtype[np.float64]]) -> list[dict[str, Any]]:
    return [
        {
            "project": "simulation",
            "evaluation_id": str(uuid.UUID(int=abs(hash((name, window, i))) % 2**128)),
            "name": name,
            "evaluator_version": "1",
            "source": "llm_judge",
            "trace_id": f"{name}{window:04d}{i:04d}",
            "score": float(score),
            "span_time": START + WINDOW * (window + (i + 0.5) / N),
        }
        for window, row in enumerate(scores)
        for i, score in enumerate(row)
    ]


def lesson_rule(scores: np.ndarray[Any, np.dtype[np.float64]]) -> bool:
    """Welch at 0.05 and a drop of 0.3 points, window by window: whether it fires at all."""
    baseline = scores[:BEFORE].ravel()
    found = (st.welch_test(window, baseline) for window in scores[BEFORE:])
    return any(test.p < 0.05 and test.difference <= -0.3 for test in found)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_b01_w06_healthy_traffic_stays_quiet_and_half_a_point_is_found(store: Store) -> None:
    healthy = {f"healthy{seed:02d}": traffic(seed, drop=False) for seed in range(SEEDS)}
    degraded = {f"degraded{seed:02d}": traffic(1000 + seed, drop=True) for seed in range(DROPS)}
    for name, scores in {**healthy, **degraded}.items():
        store.insert("evaluations", rows_of(name, scores))
    rule = next(one for one in BUILT_IN if one.name == "quality_degradation")
    rule = msgspec.structs.replace(rule, project="simulation")
    sink = Told()
    watcher = Watcher(store, [rule], [sink], Telemetry())
    first: dict[str, int] = {}
    for window in range(LOOK_EVERY, WINDOWS + 1, LOOK_EVERY):
        for turn in await watcher.evaluate(rule, START + WINDOW * (BEFORE + window)):
            if turn.what == "fired":
                first.setdefault(turn.key[0], window)
    false_alarms = sum(name in first for name in healthy)
    early = sum(first.get(name, 999) <= CHANGED for name in degraded)
    delays = [first.get(name, 999) - CHANGED for name in degraded if first.get(name, 999) > CHANGED]
    lesson = sum(lesson_rule(scores) for scores in healthy.values())
    assert false_alarms / SEEDS <= 0.05 + 3 * (0.05 * 0.95 / SEEDS) ** 0.5
    assert early <= DROPS // 3
    assert float(np.median(delays)) <= 15
    assert lesson > SEEDS / 2
