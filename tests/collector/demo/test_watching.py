"""The demo's alert rules work as written, and the report quotes what they raised, numbers and all."""

from __future__ import annotations

import io
import tomllib
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from rich.console import Console

from evalspan.collector.alerts.config import AlertRule, AlertsConfig, read_rules
from evalspan.collector.alerts.load import validate
from evalspan.collector.alerts.watcher import Watcher
from evalspan.collector.demo.found import Found
from evalspan.collector.demo.report import print_alerts
from evalspan.collector.demo.watching import RULES, alert_settings, raised
from evalspan.queries.host.telemetry import Telemetry
from evalspan.queries.store.client import Store

END = datetime(2026, 3, 16, tzinfo=UTC)
PROJECT = "demo-alerts"


def demo_rules(store: Store) -> list[AlertRule]:
    config = msgspec.convert(tomllib.loads(alert_settings(END))["alerts"], AlertsConfig)
    rules, problems = read_rules(config, None)
    rules, off = validate(rules, store, ["log"])
    assert [*problems, *off] == []
    return [msgspec.structs.replace(rule, project=PROJECT) for rule in rules]


def fortnight(edited: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Twelve calls and scores a day; in week two another prompt, and half of the answers are wrong."""
    rng = np.random.default_rng(7)
    spans: list[dict[str, Any]] = []
    scores: list[dict[str, Any]] = []
    for i in range(14 * 12):
        late = i >= 7 * 12
        at = END - timedelta(days=14) + timedelta(hours=2 * i, minutes=30)
        call = {"project": PROJECT, "trace_id": uuid.uuid4().hex, "span_id": uuid.uuid4().hex[:16]}
        prompt = edited if late else "00000000000000aa"
        spans.append(
            {
                **call,
                "start_time": at,
                "operation": "chat",
                "request_model": "m",
                "system_hash": prompt,
                "output_tokens": 40 if late else 12,
            }
        )
        scores.append(
            {
                **call,
                "evaluation_id": str(uuid.uuid4()),
                "name": "answer_f1",
                "evaluator_version": "1",
                "source": "code",
                "score": float(rng.random() < (0.3 if late else 0.9)),
                "span_time": at,
            }
        )
    return spans, scores


@pytest.mark.slow
async def test_the_rules_raise_the_edit_and_the_report_quotes_query_numbers_interval_and_link(store: Store) -> None:
    edited = "00000000000000bb"
    spans, scores = fortnight(edited)
    store.insert("spans", spans)
    store.insert("evaluations", scores)
    rules = demo_rules(store)
    assert tuple(rule.name for rule in rules) == RULES
    watcher = Watcher(store, rules, [], Telemetry(), base_url=lambda: "http://127.0.0.1:5")
    for rule in rules:
        await watcher.evaluate(rule, datetime.now(UTC))
    alerts = raised(store, PROJECT)
    assert [alert.rule for alert in alerts[:2]] == ["quality_dropped", "new_prompt"]
    out = io.StringIO()
    print_alerts(Console(file=out, width=120), Found(folder=Path(), alerts=alerts))
    said = out.getvalue()
    assert "HIGH quality_dropped: answer_f1 fell from" in said
    assert "evalspan queries run e_detector direction=decrease window_s=86400" in said
    assert f"a new system prompt {edited} is used since 2026-03-09" in said
    assert "against" in said
    assert "[" in said
    assert "share 0% before, 100% after" in said
    assert f"http://127.0.0.1:4318/traces/{alerts[0].links[0].rsplit('/', 1)[1]}" in said
    assert {score["trace_id"] for score in scores} >= {link.rsplit("/", 1)[1] for link in alerts[0].links}


def test_a_fortnight_that_raised_nothing_says_so() -> None:
    out = io.StringIO()
    print_alerts(Console(file=out, width=120), Found(folder=Path()))
    assert "None was raised." in out.getvalue()
    assert Found(folder=Path(), drift_code=3).effect_shown is False
