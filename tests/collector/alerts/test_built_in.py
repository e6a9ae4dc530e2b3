"""The rules that come with it: each fires on the incident that it is for, and none on a quiet store."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from evalspan.collector.alerts.built_in import BUILT_IN
from evalspan.collector.alerts.config import AlertRule
from evalspan.collector.alerts.watcher import Watcher
from evalspan.queries.host.telemetry import Telemetry
from evalspan.queries.store.client import Store

from .test_alerts import Told

NOW = datetime.now(UTC)
Rows = list[dict[str, Any]]


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def calls(project: str, days: tuple[float, float], n: int = 400, **columns: Any) -> Rows:
    """Model calls spread over the days before now; latencies of about 400 ms."""
    rng = np.random.default_rng(7)
    return [
        {
            "project": project,
            "trace_id": uuid.uuid4().hex,
            "span_id": uuid.uuid4().hex[:16],
            "operation": "chat",
            "request_model": "m",
            "status": "OK",
            "duration_ns": int(4e8 * float(rng.lognormal(0, 0.3))),
            "start_time": days_ago(float(day)),
            "ingested_at": days_ago(float(day)),
            **columns,
        }
        for day in np.linspace(*days, n)
    ]


def judged(project: str, days: tuple[float, float], n: int = 400, mean: float = 4.0, **columns: Any) -> Rows:
    """Scores of one judge over the days before now, written a minute after the calls."""
    rng = np.random.default_rng(8)
    return [
        {
            "project": project,
            "evaluation_id": str(uuid.uuid4()),
            "name": "helpful",
            "evaluator_version": "1",
            "source": "llm_judge",
            "trace_id": uuid.uuid4().hex,
            "span_id": "s",
            "score": float(rng.normal(mean, 0.5)),
            "span_time": days_ago(float(day)),
            "created_at": days_ago(float(day)) + timedelta(minutes=1),
            **columns,
        }
        for day in np.linspace(*days, n)
    ]


def labelled(project: str, *, human: str, days: tuple[float, float]) -> Rows:
    """Thirty calls that the judge passes and fails in turn, and people as `human` says: against or with it."""
    rows: Rows = []
    for number, judge in enumerate(judged(project, days, 30)):
        verdict, other = ("pass", "fail") if number % 2 else ("fail", "pass")
        said = {**judge, "evaluation_id": str(uuid.uuid4()), "source": "human", "author": "ana"}
        rows += [{**judge, "passed": verdict}, {**said, "passed": verdict if human == "with" else other}]
    return rows


def cursor(project: str, **state: Any) -> Rows:
    """What a worker of an online rule keeps."""
    living = int(NOW.timestamp() * 1000)
    kept = {"rule": project, "stream": "uniform", "heartbeat_ms": living, "progress_ms": living, **state}
    return [
        {
            "project": project,
            "consumer": f"online/{project}/0",
            "position": NOW,
            "position_key": json.dumps(kept),
            "version": 1,
        }
    ]


INCIDENTS: dict[str, Any] = {
    "quality_degradation": lambda p: {"evaluations": judged(p, (13.9, 7)) + judged(p, (5, 0.1), mean=2.5)},
    "mix_degradation": lambda p: {
        "evaluations": judged(p, (13.9, 7), 320, segment="easy")
        + judged(p, (13.9, 7), 80, mean=2.5, segment="hard")
        + judged(p, (5, 0.1), 80, segment="easy")
        + judged(p, (5, 0.1), 320, mean=2.5, segment="hard")
    },
    "segment_degradation": lambda p: {
        "evaluations": judged(p, (27, 7), 900, segment="good")
        + judged(p, (27, 7), 90, segment="bad")
        + judged(p, (6, 0.1), 300, segment="good")
        + judged(p, (6, 0.1), 30, mean=2.5, segment="bad")
    },
    "operations_degradation": lambda p: {"spans": calls(p, (13.9, 7)) + calls(p, (5, 0.1), duration_ns=3 * 10**9)},
    "pass_rate_low": lambda p: {"evaluations": judged(p, (0.9, 0.01), 200, passed="fail")},
    "evaluator_stopped": lambda p: {
        "spans": calls(p, (0.5, 0.01), 100),
        "evaluations": judged(p, (3, 1), 100),
    },
    "evaluation_rule_stopped": lambda p: {"cursors": cursor(p, problem="no such evaluator")},
    "budget_reached": lambda p: {"cursors": cursor(p, retrying="the next budget, at 15:00")},
    "calibration_drift": lambda p: {"evaluations": labelled(p, human="against", days=(6, 1))},
    "calibration_too_old": lambda p: {"evaluations": labelled(p, human="with", days=(130, 120))},
    "new_prompt_fingerprint": lambda p: {
        "spans": calls(p, (7, 1.1), system_hash="old") + calls(p, (0.9, 0.01), system_hash="new")
    },
}
OF_THE_STORE = ("evaluation_rule_stopped", "budget_reached")
BY_NAME = {rule.name: rule for rule in BUILT_IN}


def of_project(name: str, project: str) -> AlertRule:
    return msgspec.structs.replace(BY_NAME[name], project=project)


@pytest.mark.slow
@pytest.mark.parametrize("name", INCIDENTS)
async def test_w06_a18_p02_p04_a_built_in_rule_fires_once_on_the_incident_that_it_is_for(
    store: Store, name: str
) -> None:
    for table, rows in INCIDENTS[name](name).items():
        store.insert(table, rows)
    rule, sink = of_project(name, name), Told()
    watcher = Watcher(store, [rule], [sink], Telemetry())
    for minute in range(2):
        await watcher.evaluate(rule, NOW + timedelta(minutes=minute))
    notices = [notice for notice in sink.notices if name in notice["name"]]
    # The funnel is the whole store's: other tests' rules are in it, too.
    fired = [one for one in notices if one["name"].endswith(f" {name}")] if name in OF_THE_STORE else notices
    assert [notice["state"] for notice in fired] == ["firing"], sink.notices
    assert "?" not in fired[0]["message"], "a column of the message is not in the query"
    assert "{" not in fired[0]["message"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in INCIDENTS if name not in OF_THE_STORE])
async def test_b17_b18_a_built_in_rule_keeps_quiet_while_nothing_changes(store: Store, name: str) -> None:
    project = f"quiet {name}"
    store.insert("spans", calls(project, (13.9, 0.01), 800, system_hash="same"))
    store.insert("evaluations", judged(project, (13.9, 0.01), 800, passed="pass"))
    store.insert("evaluations", labelled(project, human="with", days=(6, 1)))
    rule, sink = of_project(name, project), Told()
    await Watcher(store, [rule], [sink], Telemetry()).evaluate(rule, NOW)
    assert sink.notices == []


@pytest.mark.slow
async def test_a_change_of_mix_alone_is_no_degradation_of_quality(store: Store) -> None:
    for table, rows in INCIDENTS["mix_degradation"]("mix alone").items():
        store.insert(table, rows)
    rule, sink = of_project("quality_degradation", "mix alone"), Told()
    await Watcher(store, [rule], [sink], Telemetry()).evaluate(rule, NOW)
    assert sink.notices == []


def test_every_built_in_rule_has_an_incident_here() -> None:
    # The backlog is one of the service's own numbers; test_alerts.py has it.
    assert set(INCIDENTS) | {"log_backlog"} == set(BY_NAME)
