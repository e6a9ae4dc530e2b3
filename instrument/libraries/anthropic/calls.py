"""Which calls of the anthropic SDK become spans, and who answers them."""

from __future__ import annotations

from typing import Any

from ... import semconv
from ..surface import Surface

NAME = "anthropic"

_PATHS = ("/v1/messages", "/v1/messages?beta=true")
_loaded: list[Surface] = []


def surface(method: str, url: str) -> Surface | None:
    """The surface of a request, None for one that is passed through untouched."""
    if url not in _PATHS or method == "get":
        return None
    if not _loaded:
        # At the first call: an app that never makes one does without.
        from .message_call import Messages

        _loaded.append(Messages())
    return _loaded[0]


def provider(client: Any, host: str) -> str:  # noqa: ARG001 - the same question for both SDKs
    """Who answers, as the conventions name providers."""
    for kind in type(client).__mro__:
        if "Bedrock" in kind.__name__:
            return semconv.PROVIDER_BEDROCK
        if "Vertex" in kind.__name__:
            return semconv.PROVIDER_VERTEX
    return semconv.PROVIDER_ANTHROPIC
