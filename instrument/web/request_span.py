"""The span of one web request, and what its headers say of session and user."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import propagate
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, get_current_span, set_span_in_context

from .. import semconv
from ..context import with_attributes
from ..observing import active_tracing
from ..safe_call import safe_call

SESSION_HEADERS = ("x-session-id", "x-conversation-id", "mcp-session-id")
USER_HEADERS = ("x-user-id",)
_MAX_ID = 200

Lookup = Callable[[Mapping[str, str]], "str | None"]


class WebOptions:
    """How a middleware reads requests; the headers are the client's word, so they name things and prove nothing."""

    def __init__(
        self,
        *,
        session: str | Lookup | None = None,
        user: str | Lookup | None = None,
        exclude: tuple[str, ...] | list[str] = ("/healthz", "/readyz", "/metrics"),
    ) -> None:
        self.session = session if session is not None else SESSION_HEADERS
        self.user = user if user is not None else USER_HEADERS
        self.exclude = frozenset(exclude)

    def identity(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Session and user of a request, by header names or functions of the headers (names in lower case)."""
        found = {}
        for name, source in ((semconv.CONVERSATION_ID, self.session), (semconv.USER_ID, self.user)):
            if callable(source):
                value = safe_call(source, headers)
            else:
                value = next((headers[key] for key in _names(source) if headers.get(key)), None)
            if value:
                found[name] = "".join(char for char in str(value)[:_MAX_ID] if char.isprintable())
        return found


class RequestSpan:
    """One request: `enter` and `leave` around what the app does, `end` when the response is out."""

    def __init__(self, method: str, path: str, headers: Mapping[str, str], options: WebOptions) -> None:
        outer = get_current()
        self.span: Span | None = None
        self._ended = False
        context = outer
        if not _is_server(get_current_span(outer)):
            # A request that nobody else has a span for; the caller's trace goes on where it sent one.
            if not get_current_span(outer).get_span_context().is_valid:
                context = propagate.extract(headers, context=outer)
            start = {"http.request.method": method, "url.path": path}
            identity = options.identity(headers)
            self.span = active_tracing().tracer.start_span(
                f"{method} {path}", context, SpanKind.SERVER, {**start, **identity}
            )
            context = set_span_in_context(self.span, context)
        self.context: Context = with_attributes(context, options.identity(headers))

    def enter(self) -> Any:
        """Makes the request current; the returned token goes to `leave`."""
        return attach(self.context)

    def leave(self, token: Any) -> None:
        """Makes current what was before."""
        detach(token)

    def end(
        self, method: str, status: int | None, route: str | None = None, error: BaseException | None = None
    ) -> None:
        """Ends the span, once."""
        if self.span is None or self._ended:
            return
        self._ended = True
        if route:
            self.span.update_name(f"{method} {route}")
            self.span.set_attribute("http.route", route)
        if status is not None:
            self.span.set_attribute("http.response.status_code", status)
        if error is not None:
            self.span.set_attribute(semconv.ERROR_TYPE, type(error).__qualname__)
            self.span.set_status(Status(StatusCode.ERROR, active_tracing().policy.error_message(error)))
        elif status is not None and status >= 500:
            self.span.set_attribute(semconv.ERROR_TYPE, str(status))
            self.span.set_status(Status(StatusCode.ERROR))
        self.span.end()


def begin(method: str, path: str, headers: Mapping[str, str], options: WebOptions) -> RequestSpan | None:
    """The span of a request, None for one that is left out or where a step of ours failed."""
    if path in options.exclude:
        return None
    found = safe_call(RequestSpan, method, path, headers, options)
    return found if isinstance(found, RequestSpan) else None


def _names(source: Any) -> tuple[str, ...]:
    return (source.lower(),) if isinstance(source, str) else tuple(source)


def _is_server(span: Span) -> bool:
    return isinstance(span, ReadableSpan) and span.kind is SpanKind.SERVER and span.end_time is None
