"""The model calls of the Claude Agent SDK: its program makes them in a process of its own, its messages tell of them."""

from __future__ import annotations

import time
from typing import Any

from opentelemetry.trace import Span, SpanKind

from .. import semconv
from ..context import current_attributes
from ..safe_call import safe_call
from ..tracing import active

_STATES = 64  # sessions that are followed at the same time; the oldest is forgotten


class _Session:
    """What has been heard of one session since its last result."""

    def __init__(self) -> None:
        self.asked_ns = time.time_ns()
        """When the model was asked: at the message before."""
        self.message_id: str | None = None
        self.span: Span | None = None
        self.parts: list[dict[str, Any]] = []
        self.usage: dict[str, int] = {}
        self.counted_output = 0
        """Output tokens of the calls before the open one."""


class ClaudeCalls:
    """Makes a span for every message of the model; a message comes in pieces with one id."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}

    def hook(self, original: Any) -> Any:
        """Wraps the function that parses what the program says; it runs where the app waits for the next message."""

        def parse_message(data: Any, *args: Any, **kwargs: Any) -> Any:
            message = original(data, *args, **kwargs)
            safe_call(self.on_message, message, data)
            return message

        return parse_message

    def on_message(self, message: Any, data: Any) -> None:
        """Takes in one message."""
        kind = type(message).__name__
        name = str(
            getattr(message, "session_id", None) or (data.get("session_id") if isinstance(data, dict) else "") or ""
        )
        if kind not in ("SystemMessage", "AssistantMessage", "UserMessage", "ResultMessage"):
            return
        session = self._sessions.setdefault(name, _Session())
        while len(self._sessions) > _STATES:
            self._sessions.pop(next(iter(self._sessions)))
        if kind == "AssistantMessage":
            self._on_assistant_message(session, message)
            return
        total = (message.usage or {}).get("output_tokens") if kind == "ResultMessage" else None
        _end(session, total)
        session.asked_ns = time.time_ns()
        if kind == "ResultMessage":
            self._sessions.pop(name, None)

    def _on_assistant_message(self, session: _Session, message: Any) -> None:
        tracing = active()
        if tracing is None:
            return
        if session.span is None or message.message_id != session.message_id:
            _end(session, None)
            session.message_id, session.parts, session.usage = message.message_id, [], {}
            start = {
                **current_attributes(),
                semconv.OPERATION: semconv.OPERATION_CHAT,
                semconv.PROVIDER: semconv.PROVIDER_ANTHROPIC,
                semconv.REQUEST_MODEL: message.model,
                semconv.RESPONSE_MODEL: message.model,
            }
            if message.message_id:
                start[semconv.RESPONSE_ID] = message.message_id
            name = f"{semconv.OPERATION_CHAT} {message.model}"
            session.span = tracing.tracer.start_span(
                name, kind=SpanKind.CLIENT, attributes=start, start_time=session.asked_ns
            )
        session.parts += [_part(block) for block in message.content]
        session.usage = message.usage or session.usage
        if message.error:
            session.span.set_attribute(semconv.ERROR_TYPE, str(message.error))


def _end(session: _Session, total_output: int | None) -> None:
    """Ends the open call. Pieces say the output tokens of their beginning; the result says those of all calls."""
    span, tracing = session.span, active()
    session.span = None
    if span is None or tracing is None:
        return
    usage = session.usage
    output = int(usage.get("output_tokens") or 0)
    if total_output is not None:
        output = max(output, total_output - session.counted_output)
    session.counted_output += output
    cached, written = (int(usage.get(f"cache_{kind}_input_tokens") or 0) for kind in ("read", "creation"))
    found: dict[str, Any] = {
        semconv.INPUT_TOKENS: int(usage.get("input_tokens") or 0) + cached + written,
        semconv.OUTPUT_TOKENS: output,
        semconv.CACHED_TOKENS: cached,
        semconv.CACHE_WRITE_TOKENS: written,
    }
    if tracing.policy.on_span:
        answer = [{"role": "assistant", "parts": session.parts, "finish_reason": "stop"}]
        found.update(tracing.policy.sanitize({semconv.OUTPUT_MESSAGES: answer}))
    span.set_attributes(found)
    span.end()


def _part(block: Any) -> dict[str, Any]:
    if (text := getattr(block, "text", None)) is not None:
        return {"type": "text", "content": text}
    if (thought := getattr(block, "thinking", None)) is not None:
        return {"type": "reasoning", "content": thought}
    if (name := getattr(block, "name", None)) is not None:
        return {"type": "tool_call", "id": block.id, "name": name, "arguments": block.input}
    return {"type": type(block).__name__}
