"""The Model Context Protocol's conventions, as its SDKs and instrumentors write them beside those of GenAI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...instrument import semconv

if TYPE_CHECKING:
    from .attributes import SpanAttributes

_SERVER = 2  # Span.SPAN_KIND_SERVER


def rewrite(span: SpanAttributes) -> None:
    """A server's session is a conversation; that of a client may carry those of many."""
    if span.span.kind == _SERVER and not span.get(semconv.SESSION_ID):
        span.put(semconv.CONVERSATION_ID, span.get(semconv.MCP_SESSION_ID))
