"""Lists and totals read the role of spans: previews of traces whose root says nothing, sums that agents repeat."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from evalspan.queries import catalog

NOW = datetime.now(UTC) - timedelta(minutes=5)


def said(role: str, text: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


def row(number: int, parent: int, second: int, **columns: Any) -> dict[str, Any]:
    return {
        "project": "roles",
        "trace_id": "7" * 32,
        "span_id": f"{number:016x}",
        "parent_span_id": f"{parent:016x}" if parent else "",
        "start_time": NOW + timedelta(seconds=second),
        "duration_ns": 10**9,
        **columns,
    }


def test_the_list_of_traces_shows_first_question_and_last_answer_where_the_root_has_none(store) -> None:
    call = {"operation": "chat", "request_model": "m", "input_tokens": 10, "output_tokens": 1, "cost_usd": 0.5}
    store.insert(
        "spans",
        [
            row(1, 0, 0, name="GET /chat", kind="SERVER"),
            row(2, 1, 1, name="agent", operation="invoke_agent", input_tokens=20, output_tokens=2, request_model="m"),
            row(3, 2, 2, name="embed", operation="embeddings", request_model="e", input=said("user", "vector")),
            row(4, 2, 3, name="chat", **call, input=said("user", "weather?"), output=said("assistant", "let me see")),
            row(5, 2, 4, name="chat", **call, input=said("user", "weather? 18 C"), output=said("assistant", "sunny")),
        ],
    )
    window: dict[str, Any] = {"start": NOW - timedelta(hours=1), "end": NOW + timedelta(hours=1)}
    found = catalog.get("pages/trace_previews").run(
        store, ids=["7" * 32], spans=[f"{1:016x}"], project="roles", **window
    )
    assert [(one["input"], one["output"]) for one in found.dicts()] == [("weather?", "sunny")]
    totals = catalog.get("pages/trace_totals").run(store, ids=["7" * 32], project="roles", **window).dicts()[0]
    assert (totals["input_tokens"], totals["output_tokens"], totals["cost_usd"]) == (20, 2, 1.0)
    latest = catalog.get("latest_traces").run(store, project="roles").dicts()[0]
    assert (latest["input_tokens"], latest["cost_usd"]) == (20, 1.0)
    assert "weather?" in latest["input"]
    assert "sunny" in latest["output"]
