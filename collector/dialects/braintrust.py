"""Braintrust's attributes, as its SDKs for Go and Java and people by hand write them: `braintrust.` with JSON values."""

from __future__ import annotations

from typing import Any

from ...instrument import semconv
from .attributes import SpanAttributes, parsed
from .vocabulary import OPERATIONS, put_content, put_name, put_parameters, put_usage

_PREFIX = "braintrust."


def rewrite(span: SpanAttributes) -> None:
    """Rename what stands under Braintrust's names; where a span was sent stays an attribute."""
    said = parsed(span.take(_PREFIX + "span_attributes"))
    kind = str(said.get("type") or "").lower() if isinstance(said, dict) else ""
    operation = str(span.get(semconv.OPERATION) or OPERATIONS.get(kind, ""))
    span.put(semconv.OPERATION, operation)
    metadata = parsed(span.take(_PREFIX + "metadata"))
    if isinstance(metadata, dict):
        put_parameters(span, metadata)
        for name in ("session_id", "conversation_id", "thread_id"):
            span.put(semconv.CONVERSATION_ID, metadata.pop(name, None))
        span.put(semconv.USER_ID, metadata.pop("user_id", None))
        span.put(semconv.PROVIDER, metadata.pop("provider", None))
        span.tags({name: value for name, value in metadata.items() if isinstance(value, str | int | float)})
    span.tags(span.take(_PREFIX + "tags"))
    _metrics(span, parsed(span.take(_PREFIX + "metrics")))
    put_name(span, operation, said.get("name") if isinstance(said, dict) else None)
    given = span.take(_PREFIX + "input_json", _PREFIX + "input")
    put_content(span, operation, given, span.take(_PREFIX + "output_json", _PREFIX + "output"))


def _metrics(span: SpanAttributes, metrics: Any) -> None:
    if not isinstance(metrics, dict):
        return
    put_usage(span, metrics)
    span.put_count(semconv.CACHED_TOKENS, metrics.get("prompt_cached_tokens"))
    span.put_count(semconv.CACHE_WRITE_TOKENS, metrics.get("prompt_cache_creation_tokens"))
    span.put_count(semconv.REASONING_TOKENS, metrics.get("completion_reasoning_tokens"))
    waited = metrics.get("time_to_first_token")
    if isinstance(waited, int | float) and not isinstance(waited, bool):
        span.put(semconv.TIME_TO_FIRST_CHUNK, max(float(waited), 0.0))
