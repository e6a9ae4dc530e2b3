"""The start of a call: whether it is ours to trace, what is known of it, and the context it runs in."""

from __future__ import annotations

from contextvars import Token
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry.context import Context
from opentelemetry.context import attach as make_current
from opentelemetry.trace import SpanKind

from .. import semconv
from ..context import current_attributes
from ..current_context import SPAN_KEY, live_context
from ..safe_call import safe_call
from ..suppression import is_suppressed
from ..tracing import Attributes, Tracing
from ..well_formed import well_formed
from .anthropic.native_spans import traces_content_itself
from .call_span import CURRENT_CALL, CallSpan
from .coexistence import in_framework_span, traced_by_another
from .surface import Library, Surface

_servers: WeakKeyDictionary[Any, tuple[Any, Attributes]] = WeakKeyDictionary()
_PLAIN = frozenset({str, int, float, bool, list, dict})


def enter(
    library: Library, tracing: Tracing | None, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[CallSpan, Token[Context]] | None:
    """Begins the span of a call and makes it the current one; None when the call is not ours to trace."""
    if tracing is None:
        return None
    options = args[1] if len(args) > 1 else kwargs["options"]
    surface = library.surface(options.method, options.url)
    if surface is None:
        return None
    context = live_context()
    if is_suppressed(context) or traced_by_another(library.NAME) or traces_content_itself(client):
        return None
    context = safe_call(in_framework_span, context, surface.operation) or context
    sent = options.json_data
    # Only what is sent as JSON: parameters that were left out can still stand here as sentinels of the SDK.
    body = {key: value for key, value in sent.items() if type(value) in _PLAIN} if type(sent) is dict else {}
    streams = kwargs.get("stream") is True or body.get("stream") is True
    start = {semconv.OPERATION: surface.operation, **server_attributes(library, client)}
    if isinstance(model := body.get("model"), str):
        start[semconv.REQUEST_MODEL] = well_formed(model)
    if streams:
        start[semconv.REQUEST_STREAM] = True
    call = begin(tracing, surface, start, body, context)
    if streams:
        call.stream = surface.accumulator()
    return call, make_current(Context({**context, SPAN_KEY: call.span, CURRENT_CALL: call}))


def begin(tracing: Tracing, surface: Surface, start: Attributes, body: dict[str, Any], context: Context) -> CallSpan:
    """Starts the span of a call: what samplers need now, the rest when it ends, and only if the span records."""
    if found := current_attributes(context):
        # First, because a full span drops its oldest attributes: tags rather than what makes it a call.
        start = {**found, **start}
    model = start.get(semconv.REQUEST_MODEL)
    name = f"{surface.operation} {model}" if model else surface.operation
    span = tracing.tracer.start_span(tracing.policy.name(name), context, SpanKind.CLIENT, start)
    call = CallSpan(tracing, surface, span, start)
    if span.is_recording() or tracing.event is not None:
        safe_call(call.describe_request, body)
    return call


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
