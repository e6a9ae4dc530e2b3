"""The start of a call: whether it is ours to trace, what is known of it, and the context it runs in."""

from __future__ import annotations

from contextvars import Token
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace import set_span_in_context

from .. import semconv
from ..suppression import is_suppressed
from .anthropic.native_spans import traces_content_itself
from .call_span import CURRENT_CALL, Attributes, Recorder, Surface, Tracing, begin
from .coexistence import traced_by_another

_servers: WeakKeyDictionary[Any, tuple[Any, Attributes]] = WeakKeyDictionary()
_PLAIN = frozenset({str, int, float, bool, list, dict})


class Library(Protocol):
    """What the hooks ask of one SDK's module."""

    NAME: str

    def surface(self, method: str, url: str) -> Surface | None:
        """The surface of a request, None for one that is passed through untouched."""

    def provider(self, client: Any, host: str) -> str:
        """Who answers, as the conventions name providers."""


def enter(
    library: Library, tracing: Tracing | None, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Recorder, Token[Context]] | None:
    """Begins the span of a call and makes it the current one; None when the call is not ours to trace."""
    if tracing is None:
        return None
    options = args[1] if len(args) > 1 else kwargs["options"]
    surface = library.surface(options.method, options.url)
    if surface is None:
        return None
    context = get_current()
    if is_suppressed(context) or traced_by_another(library.NAME, context) or traces_content_itself(client):
        return None
    given = options.json_data
    # Only what is sent as JSON: parameters that were left out can still stand here as sentinels of the SDK.
    body = {key: value for key, value in given.items() if type(value) in _PLAIN} if type(given) is dict else {}
    streams = kwargs.get("stream") is True or body.get("stream") is True
    start = {semconv.OPERATION: surface.operation, **server_attributes(library, client)}
    if isinstance(model := body.get("model"), str):
        start[semconv.REQUEST_MODEL] = model
    if streams:
        start[semconv.REQUEST_STREAM] = True
    recorder = begin(tracing, surface, start, body, context)
    if streams:
        recorder.stream = surface.accumulator()
    return recorder, attach(set_span_in_context(recorder.span, Context({**context, CURRENT_CALL: recorder})))


def server_attributes(library: Library, client: Any) -> Attributes:
    """Who answers and where, worked out once for each client and base URL."""
    # The attribute behind the property: reading that one costs more than all the rest of this function.
    url = getattr(client, "_base_url", None) or client.base_url
    known = _servers.get(client)
    if known is None or known[0] is not url:
        host = url.host
        found: Attributes = {
            semconv.PROVIDER: library.provider(client, host),
            semconv.SERVER_ADDRESS: host,
            semconv.SERVER_PORT: url.port or (80 if url.scheme == "http" else 443),
        }
        known = _servers[client] = (url, found)
    return known[1]
