"""OpenLIT: the conventions, but counts and costs in its own sense; what was said it sends as log records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...instrument import semconv
from .providers import canonical
from .vocabulary import add_cached_tokens

if TYPE_CHECKING:
    from .attributes import SpanAttributes

_COST = "gen_ai.usage.cost"
_EXCLUSIVE = ("anthropic", "aws.bedrock")


def rewrite(span: SpanAttributes) -> None:
    """Correct what OpenLIT wrote; nothing on spans of others that have an attribute of these names."""
    if not span.scope.startswith("openlit"):
        return
    if span.get(_COST) in (0, 0.0, "0"):  # it does not know the model
        span.replace(_COST, None)
    provider = canonical(str(span.get(semconv.PROVIDER) or span.get("gen_ai.system") or ""))
    if span.take("gen_ai.client.token.usage") is not None and provider in _EXCLUSIVE:  # taken: counted once
        add_cached_tokens(span)
    waited = span.get("gen_ai.server.time_to_first_token")
    if span.get(semconv.REQUEST_STREAM) is True and isinstance(waited, int | float):
        span.put(semconv.TIME_TO_FIRST_CHUNK, float(waited))
