"""Every named query over spans or scores can be asked of one service or environment, and then sees nothing else."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from evalspan.queries import catalog
from evalspan.queries.store.client import Store

UNTIL = datetime(2026, 6, 15, tzinfo=UTC)
# What is about rules or the service itself rather than about calls.
# What is about agents is tried in test_agent_queries.py: the calls below are none.
AGENTS = {"agent_rates", "step_graph", "tool_rates", "turn_rates"}
WITHOUT = {
    "annotation_draw_units",
    "alert_history",
    "alert_overview",
    "evaluation_efficiency",
    "evaluation_funnel",
    "evaluators_stopped",
    "number",
    "trace",
    *AGENTS,
}
ABOUT = {
    "metric": "m",
    "old": "0",
    "new": "1",
    "since": (UNTIL - timedelta(days=7)).isoformat(),
    "until": UNTIL.isoformat(),
    "after": "new",
    "before": "old",
    "value": 1,
    "trace_id": "0" * 32,
}


def filtered_names() -> list[str]:
    return [name for name in catalog.names() if "project" in {p.name for p in catalog.get(name).parameters}]


def one_call(rng: np.random.Generator, service: str, environment: str, shift: float) -> tuple[dict[str, Any], Any]:
    day = float(rng.uniform(0.01, 14))
    ids = {"trace_id": uuid.UUID(bytes=rng.bytes(16)).hex, "span_id": rng.bytes(8).hex()}
    shared = {
        "service": service,
        "environment": environment,
        "request_model": f"m-{rng.integers(2)}",
        "system_hash": "new" if day < 7 else "old",
        "sample_weight": float(rng.choice([1.0, 4.0])),
    }
    word = ["price", "refund", "login"][int(rng.integers(3))] if shift == 0 else "delivery"
    start = UNTIL - timedelta(days=day)
    span = {
        **ids,
        **shared,
        "start_time": start,
        "ingested_at": start,
        "operation": "chat",
        "duration_ns": int(rng.integers(1, 9)) * 10**8,
        "status": "ERROR" if rng.random() < 0.1 else "OK",
        "input": f'[{{"role":"user","parts":[{{"type":"text","content":"what about the {word}"}}]}}]',
        "output": "[]",
        "input_tokens": int(rng.integers(5, 50)),
    }
    scores = [
        {
            **ids,
            **shared,
            "evaluation_id": str(uuid.UUID(bytes=rng.bytes(16))),
            "name": "m",
            "evaluator_version": version,
            "source": source,
            "author": "ann" if source == "human" else "",
            "score": float(rng.integers(1, 6)) + shift,
            "passed": "pass" if rng.random() < 0.7 else "fail",
            "label": word,
            "span_time": start,
            # two versions that scored the same newest call: the one that wrote last is the newest
            "created_at": start + timedelta(seconds=int(version or 0)),
        }
        for source, version in (("code", "1"), ("code", "0"), ("human", ""))
        if source != "human" or rng.random() < 0.5
    ]
    return span, scores


@pytest.fixture(scope="module")
def filled(store: Store) -> Store:
    """Project `alone` holds the calls of one service in production; `mixed` the same among those of others."""
    rng = np.random.default_rng(3)
    wanted = [one_call(rng, "shop", "production", 0.0) for _ in range(200)]
    others = [one_call(rng, "blog", "production", -50.0) for _ in range(80)]
    others += [one_call(rng, "shop", "staging", -50.0) for _ in range(80)]
    for project, calls in (("alone", wanted), ("mixed", wanted + others)):
        store.insert("spans", [{"project": project, **span} for span, _ in calls])
        rows = [{"project": project, **row, "evaluation_id": str(uuid.uuid4())} for _, rows in calls for row in rows]
        store.insert("evaluations", rows)
    return store


def ask(store: Store, name: str, project: str, **more: Any) -> list[tuple[Any, ...]]:
    query = catalog.get(name)
    known = {one.name for one in query.parameters}
    required = {one.name for one in query.parameters if one.default is None}
    given: dict[str, Any] = {
        key: value for key, value in ABOUT.items() if key in required or (key in known and key == "until")
    }
    if name in ("before_after", "paired_before_after"):
        given |= {"after": "new", "before": "old"}
    if name == "answers":  # it ends now
        given["since_s"] = int((datetime.now(UTC) - UNTIL).total_seconds()) + 15 * 86400
    if "window_s" in known:
        given["window_s"] = 86400
    return query.run(store, project=project, **given, **more).rows


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(filtered_names()) - WITHOUT))
def test_p05_a_query_of_one_service_and_environment_sees_nothing_else(filled: Store, name: str) -> None:
    parameters = {one.name: one.default for one in catalog.get(name).parameters}
    assert (parameters["service"], parameters["environment"]) == ("", "")
    alone = ask(filled, name, "alone")
    narrowed = ask(filled, name, "mixed", service="shop", environment="production")
    assert repr(narrowed) == repr(alone)
    if name not in ("segments", "cusum", "e_detector", "evaluator_silence", "evaluation_spend", "changes"):
        assert alone, "a comparison of nothing with nothing"
    if alone:
        assert repr(ask(filled, name, "mixed")) != repr(alone)
        assert not ask(filled, name, "mixed", service="shop", environment="nowhere") or name == "score_funnel"
