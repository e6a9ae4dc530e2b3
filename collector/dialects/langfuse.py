"""Langfuse: `langfuse.observation.*` with JSON values, `langfuse.trace.*` for what all spans of a trace share."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...instrument import semconv
from .attributes import STATUS_ERROR, SpanAttributes, as_json, parsed
from .vocabulary import OPERATIONS, put_content, put_cost, put_name, put_parameters, put_usage

_METADATA = "langfuse.trace.metadata."
_PROVIDERS = ("openai", "anthropic")


def rewrite(span: SpanAttributes) -> None:
    """Rename what the Langfuse SDK wrote."""
    take = span.take
    operation = OPERATIONS.get(str(take("langfuse.observation.type") or "").lower(), "")
    span.put(semconv.OPERATION, operation)
    model = take("langfuse.observation.model.name")
    span.put(semconv.REQUEST_MODEL, model)
    span.put(semconv.RESPONSE_MODEL, model)
    library = span.span.name.lower().partition("-")[0]
    if operation and library in _PROVIDERS:
        span.put(semconv.PROVIDER, library)
    put_parameters(span, take("langfuse.observation.model.parameters"))
    put_usage(span, take("langfuse.observation.usage_details"))
    _cost(span, parsed(take("langfuse.observation.cost_details")))
    put_name(span, operation, None)
    put_content(
        span,
        operation,
        # A trace's own input and output stand on the spans that set them; mostly they are the same once more.
        take("langfuse.observation.input", "langfuse.trace.input"),
        take("langfuse.observation.output", "langfuse.trace.output"),
    )
    span.rename("langfuse.observation.prompt.name", semconv.PROMPT_NAME)
    version = take("langfuse.observation.prompt.version")
    span.put(semconv.PROMPT_VERSION, None if version is None else as_json(version))
    span.rename("langfuse.environment", semconv.ENVIRONMENT)
    _first_token(span, parsed(take("langfuse.observation.completion_start_time")))
    _status(span)
    _context(span)


def _cost(span: SpanAttributes, cost: Any) -> None:
    """The cost it knows; its 0 means that it does not know the model."""
    put_cost(span, cost.get("total") if isinstance(cost, dict) else None)


def _first_token(span: SpanAttributes, stamp: Any) -> None:
    if not isinstance(stamp, str):
        return
    try:
        seconds = datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return
    span.put(semconv.TIME_TO_FIRST_CHUNK, max(seconds - span.span.start_time_unix_nano / 1e9, 0.0))


def _status(span: SpanAttributes) -> None:
    if span.take("langfuse.observation.level") == "ERROR":
        span.span.status.code = STATUS_ERROR  # type: ignore[assignment]  # the stub wants the enum's own type
        if not span.span.status.message:
            span.span.status.message = str(span.get("langfuse.observation.status_message") or "")
    span.take("langfuse.observation.status_message")


def _context(span: SpanAttributes) -> None:
    span.put(semconv.CONVERSATION_ID, span.take("session.id", "langfuse.session.id"))
    span.put(semconv.USER_ID, span.get("user.id") or span.take("langfuse.user.id"))
    span.tags(span.take("langfuse.trace.tags"))
    for key in list(span.keys()):
        if key.startswith(_METADATA):
            span.tags({key.removeprefix(_METADATA): parsed(span.take(key))})
