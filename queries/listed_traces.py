"""Rows of a list of traces out of their spans: the entry, the totals of the whole trace, and shortened texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from .messages import shown_text

MAX_SPANS = 2_000
"""More spans than this are added up where they lie; fewer are cheaper to read than to plan sums of."""
MAX_TEXT = 16_384
"""Characters of a text that is read whole; longer ones are taken apart in the store."""
MAX_SHOWN = 240
"""Characters of a text in a list."""
NOTHING = {"", "[]", "{}", "null"}
"""Outputs that say nothing: the list then shows why."""
_OF_ENTRY = (
    "project", "trace_id", "span_id", "start_time", "duration_ns", "name", "kind", "operation", "service", "environment", "status",
    "error_type", "status_message", "request_model", "prompt_name", "prompt_version", "conversation_id", "user_id", "sample_weight",
    "sample_rule", "ingested_at",
)  # fmt: skip

NO_TOTALS: dict[str, Any] = {"spans": 1, "errors": 0, "input_tokens": 0, "output_tokens": 0, "cost_usd": None, "unpriced": 0, "model": "", "models": 0, "prompt": ""}  # fmt: skip
"""Of a trace whose spans lie too far from its entry to be added up."""

Row = dict[str, Any]


def by_trace(spans: Iterable[Row]) -> dict[str, list[Row]]:
    """The spans of each trace by when they began, of a span that was sent twice the one that came last."""
    newest: dict[tuple[str, str, str], Row] = {}
    for span in spans:
        key = (span["project"], span["trace_id"], span["span_id"])
        if key not in newest or newest[key]["ingested_at"] <= span["ingested_at"]:
            newest[key] = span
    found: dict[str, list[Row]] = {}
    for span in sorted(newest.values(), key=lambda one: (one["start_time"], one["span_id"])):
        found.setdefault(span["trace_id"], []).append(span)
    return found


def row_of(listed: Mapping[str, Any], spans: Sequence[Row], keys: Sequence[str] = ()) -> Row | None:
    """The row of one trace out of its spans, None where its entry is not among them any more; without scores."""
    entry = next((span for span in spans if span["span_id"] == listed["span_id"]), None)
    if entry is None:
        return None
    extra = dict(zip(keys, entry.get("extra", ()), strict=False))
    return {**{name: entry[name] for name in _OF_ENTRY}, **texts_of(entry, spans), "extra": extra}


def texts_of(entry: Row, spans: Sequence[Row]) -> dict[str, str]:
    """What was asked and answered, shortened: by the entry, else by the first and the last model call; empty if unread."""
    if "asked" not in entry:
        return {"input": "", "output": ""}
    calls = [span for span in spans if span["role"] == "call" and span["operation"] != "embeddings"]
    asked = shown_text(entry["asked"], "user") or next(
        (shown_text(one["asked"], "user") for one in calls if one["asked"]), ""
    )
    answered = shown_text(entry["answered"])
    if answered in NOTHING:
        answered = next((shown_text(one["answered"]) for one in reversed(calls) if one["answered"]), answered)
    return {"input": asked[:MAX_SHOWN], "output": "" if answered in NOTHING else answered[:MAX_SHOWN]}


def is_long(span: Row) -> bool:
    """Whether a text of the span is longer than what is read of it."""
    return len(span["asked"]) > MAX_TEXT or len(span["answered"]) > MAX_TEXT


def totals(spans: Sequence[Row]) -> Row:
    """What a whole trace holds: as `pages/trace_totals` adds it up for traces of any size."""
    calls = [span for span in spans if span["role"] == "call"]
    chats = [span for span in calls if span["operation"] != "embeddings"]
    priced = [span["cost_usd"] for span in calls if span["cost_usd"] is not None]
    models = [(_ended(span), model) for span in chats if (model := span["request_model"] or span["response_model"])]
    prompts = [(_ended(span), f"{span['prompt_name']} {span['prompt_version']}".lstrip(" ")) for span in chats if span["prompt_version"]]  # fmt: skip
    return {
        "trace_id": spans[0]["trace_id"],
        "spans": len(spans),
        "errors": sum(span["status"] == "ERROR" for span in spans),
        "input_tokens": sum(span["input_tokens"] or 0 for span in calls),
        "output_tokens": sum(span["output_tokens"] or 0 for span in calls),
        "cost_usd": sum(priced) if priced else None,
        "unpriced": sum(_is_unpriced(span) for span in calls),
        "model": max(models, key=lambda one: one[0])[1] if models else "",
        "models": len({model for _, model in models}),
        "prompt": max(prompts, key=lambda one: one[0])[1] if prompts else "",
    }


def _ended(span: Row) -> Any:
    return span["start_time"] + timedelta(microseconds=span["duration_ns"] / 1e3)


def _is_unpriced(span: Row) -> bool:
    return span["cost_usd"] is None and not (span["status"] == "ERROR" and span["input_tokens"] is None)
