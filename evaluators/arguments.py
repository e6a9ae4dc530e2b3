"""From a row of the table `spans` to an evaluator's arguments: texts, so that the same function runs on examples in CI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..instrument import semconv
from ..queries.span_scoring_store import NO_PASSAGES, Passages
from .text.passages import passage_text


def span_arguments(row: Mapping[str, Any], passages: Passages = NO_PASSAGES) -> dict[str, Any]:
    """`input`, `output`, `context` and `span` of a stored span.

    `input` is the text of the last user message, `output` the text of the answer (the tool calls as JSON when it has
    no text); of an observed function or a tool they are its arguments and result. `context` is the first of these
    that there is: the span's attribute `evalspan.context`, what was retrieved in the trace, the tool results in the span's
    own messages, what tools returned in the trace; else None. `span` is the whole row, with all messages in it.
    """
    stated = (row.get("attributes") or {}).get(semconv.CONTEXT)
    context = stated or passages.retrieved or _tool_results(row.get("input")) or passages.tools
    return {
        "input": _said(row.get("input"), role="user", last_only=True),
        "output": _said(row.get("output"), role="assistant", last_only=False),
        "context": context or None,
        "span": dict(row),
    }


def _tool_results(raw: Any) -> str:
    """What tools answered in these GenAI messages."""
    try:
        messages = msgspec.json.decode(raw) if isinstance(raw, str) else raw
    except (msgspec.DecodeError, RecursionError):
        return ""
    parts = [
        part
        for message in (messages if isinstance(messages, list) else [])
        if _is_message(message)
        for part in message["parts"]
        if isinstance(part, dict) and part.get("type") == "tool_call_response"
    ]
    return "\n".join(filter(None, (passage_text(part.get("response", part.get("result"))) for part in parts)))


def _said(raw: Any, *, role: str, last_only: bool) -> Any:
    """The role's texts in GenAI messages; what are no messages is handed on, parsed when it is JSON."""
    try:
        value = msgspec.json.decode(raw) if isinstance(raw, str) else raw
    except (msgspec.DecodeError, RecursionError):
        return raw
    if not isinstance(value, list) or not value or not all(_is_message(item) for item in value):
        return value
    spoken = [message for message in value if message.get("role") == role] or value[-1:]
    chosen = spoken[-1:] if last_only else spoken
    parts = [part for message in chosen for part in message["parts"] if isinstance(part, dict)]
    texts = [part["content"] for part in parts if part.get("type") == "text" and isinstance(part.get("content"), str)]
    return "\n".join(texts) if texts or not parts else msgspec.json.encode(parts).decode()


def _is_message(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("parts"), list)
