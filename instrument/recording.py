"""The life of one LLM call's span: begun before the request, ended exactly once whichever way the call ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from opentelemetry.context import create_key
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from . import semconv
from .content import ContentPolicy
from .context import current_attributes

log = logging.getLogger(__name__)

# The recorder of the call that the current context is inside of.
CURRENT_CALL = create_key("evalspan.call")

Attributes = dict[str, Any]


class Accumulator(Protocol):
    """Puts the pieces of one stream together."""

    def add(self, event: Any, /) -> None:
        """Takes in one parsed event; called for every chunk, so it does as little as it can."""

    def attributes(self) -> Attributes:
        """What the events so far say, in the form of a response's attributes."""


class Surface(Protocol):
    """One kind of API call: how to read its request, its response and its stream."""

    operation: str

    def request(self, body: dict[str, Any]) -> Attributes:
        """Attributes of a request's JSON body."""

    def response(self, response: Any) -> Attributes:
        """Attributes of a parsed response, or of its JSON."""

    def accumulator(self) -> Accumulator:
        """Follows a streamed response."""


class Metrics(Protocol):
    """Where the client metrics of a call go."""

    def record(self, attributes: Attributes, seconds: float, error: str | None) -> None:
        """Records the duration, the tokens and the time to the first chunk of one call."""


class Tracing:
    """What an active instrumentation needs for every call; made by `init`, read by the hooks."""

    def __init__(
        self,
        tracer: Tracer,
        policy: ContentPolicy,
        *,
        metrics: Metrics | None = None,
        event: Callable[[Span, Attributes], None] | None = None,
    ) -> None:
        self.tracer = tracer
        self.policy = policy
        self.metrics = metrics
        self.event = event


class Recorder:
    """Holds the span of one call and ends it once: with a response, an error, or neither."""

    __slots__ = ("_open", "first_chunk", "known", "retries", "span", "started", "stream", "surface", "tracing")

    def __init__(self, tracing: Tracing, surface: Surface, span: Span, known: Attributes) -> None:
        self.tracing = tracing
        self.surface = surface
        self.span = span
        self.known = known
        self.started = time.perf_counter()
        self.first_chunk: float | None = None
        self.stream: Accumulator | None = None
        self.retries = 0
        self._open = [True]

    def finish(self, response: Any = None, error: BaseException | None = None, abandoned: bool = False) -> None:
        """Ends the span unless it has ended: with what is known of the response, error and stream. Never raises."""
        try:
            # `pop` is atomic: a finalizer in another thread cannot end the span a second time.
            self._open.pop()
        except IndexError:
            return
        try:
            self._describe_end(response, error, abandoned)
        except Exception:
            log.debug("could not record the end of a call", exc_info=True)
        try:
            self.span.end()
        except Exception:
            log.debug("could not end a span", exc_info=True)

    def first_read(self) -> Callable[[Any], None]:
        """What takes in the chunks of this stream; called when the app asks for the first."""
        self.stream = self.stream or self.surface.accumulator()
        return self.stream.add

    @property
    def ended(self) -> bool:
        """Whether the span has ended."""
        return not self._open

    def _describe_end(self, response: Any, error: BaseException | None, abandoned: bool) -> None:
        seconds = time.perf_counter() - self.started
        found: Attributes = {}
        error_type = None
        if error is not None:
            # First of all: a failure to read the response must not hide the failure of the call.
            error_type = found[semconv.ERROR_TYPE] = error_name(error)
            self.span.set_status(Status(StatusCode.ERROR, self.tracing.policy.message(str(error))))
        if self.stream is not None:
            found.update(self.stream.attributes())
        elif response is not None:
            found.update(self.surface.response(response))
        if self.first_chunk is not None:
            found[semconv.TIME_TO_FIRST_CHUNK] = self.first_chunk - self.started
        if abandoned:
            found[semconv.ABANDONED] = True
        if self.retries:
            found[semconv.RESEND_COUNT] = self.retries
        self._write(found)
        if self.tracing.metrics is not None:
            self.tracing.metrics.record({**self.known, **found}, seconds, error_type)

    def _write(self, found: Attributes) -> None:
        policy = self.tracing.policy
        if self.tracing.event is not None:
            self.tracing.event(self.span, policy.seal({**self.known, **found}))
        if self.span.is_recording():
            self.span.set_attributes(policy.seal(found) if policy.on_span else policy.without_content(found))


def begin(tracing: Tracing, surface: Surface, start: Attributes, body: dict[str, Any]) -> Recorder:
    """Starts the span of a call: what samplers need at the start, the rest only when the span records."""
    start.update(current_attributes())
    model = start.get(semconv.REQUEST_MODEL)
    name = f"{surface.operation} {model}" if model else surface.operation
    span = tracing.tracer.start_span(name, kind=SpanKind.CLIENT, attributes=start)
    recorder = Recorder(tracing, surface, span, start)
    try:
        _describe_request(recorder, body)
    except Exception:
        log.debug("could not record a request", exc_info=True)
    return recorder


def _describe_request(recorder: Recorder, body: dict[str, Any]) -> None:
    tracing = recorder.tracing
    if tracing.event is None and not recorder.span.is_recording():
        return
    found = recorder.surface.request(body)
    if semconv.CONVERSATION_ID in recorder.known:
        # What the app says the session is wins over the API's own conversation.
        found.pop(semconv.CONVERSATION_ID, None)
    if tracing.event is not None:
        recorder.known = {**recorder.known, **found}
    policy = tracing.policy
    recorder.span.set_attributes(policy.seal(found) if policy.on_span else policy.without_content(found))


def error_name(error: BaseException) -> str:
    """A low-cardinality name for `error.type`: the exception's class, the same for both SDKs."""
    return type(error).__qualname__
