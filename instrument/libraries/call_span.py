"""The life of one LLM call's span: begun before the request, ended exactly once whichever way the call ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from opentelemetry.context import Context, create_key
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from .. import semconv
from ..content import ContentPolicy, without_content
from ..context import current_attributes
from ..safe_call import guarded

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

    def wanted(self) -> bool:
        """Whether anybody collects metrics."""

    def record(self, attributes: Attributes, seconds: float) -> None:
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

    __slots__ = (
        "_open",
        "first_chunk",
        "request",
        "retries",
        "span",
        "start",
        "started",
        "stream",
        "surface",
        "tracing",
    )

    def __init__(self, tracing: Tracing, surface: Surface, span: Span, start: Attributes) -> None:
        self.tracing = tracing
        self.surface = surface
        self.span = span
        self.start = start
        self.request: Attributes = {}
        self.started = time.perf_counter()
        self.first_chunk: float | None = None
        self.stream: Accumulator | None = None
        self.retries = 0
        self._open = [True]

    @property
    def ended(self) -> bool:
        """Whether the span has ended."""
        return not self._open

    def describe_request(self, body: dict[str, Any]) -> None:
        """Takes down what was asked for, encoded at once: the app may change it while the call runs."""
        found = self.surface.request(body)
        if semconv.CONVERSATION_ID in self.start:
            # What the app says the session is wins over the API's own conversation.
            found.pop(semconv.CONVERSATION_ID, None)
        self.request = self.tracing.policy.seal(found)

    def first_read(self) -> Callable[[Any], None]:
        """What takes in the chunks of this stream; called when the app asks for the first."""
        self.stream = self.stream or self.surface.accumulator()
        return self.stream.add

    def finish(self, response: Any = None, error: BaseException | None = None, abandoned: bool = False) -> None:
        """Ends the span unless it has ended: with what is known of the response, error and stream."""
        try:
            # `pop` is atomic: a finalizer in another thread cannot end the span a second time.
            self._open.pop()
        except IndexError:
            return
        try:
            found = guarded(self.describe_response, response) or {}
            if abandoned:
                found[semconv.ABANDONED] = True
            if error is not None:
                found[semconv.ERROR_TYPE] = error_name(error)
                self.span.set_status(Status(StatusCode.ERROR, self.tracing.policy.message(str(error))))
            guarded(self.write, found)
        finally:
            self.span.end()

    def describe_response(self, response: Any) -> Attributes:
        """What came back, whole or in pieces."""
        found: Attributes = {}
        if self.stream is not None:
            found = self.stream.attributes()
        elif response is not None:
            found = self.surface.response(response)
        if self.first_chunk is not None:
            found[semconv.TIME_TO_FIRST_CHUNK] = self.first_chunk - self.started
        if self.retries:
            found[semconv.RESEND_COUNT] = self.retries
        return self.tracing.policy.seal(found)

    def write(self, found: Attributes) -> None:
        """Puts everything on the span at once, and where else it was asked for."""
        tracing = self.tracing
        everything = self.request
        if semconv.TRUNCATED in everything and semconv.TRUNCATED in found:
            found[semconv.TRUNCATED] = [*everything[semconv.TRUNCATED], *found[semconv.TRUNCATED]]
        everything.update(found)
        if tracing.metrics is not None and tracing.metrics.wanted():
            tracing.metrics.record({**self.start, **everything}, time.perf_counter() - self.started)
        if tracing.event is not None:
            tracing.event(self.span, {**self.start, **everything})
        self.span.set_attributes(everything if tracing.policy.on_span else without_content(everything))


def begin(tracing: Tracing, surface: Surface, start: Attributes, body: dict[str, Any], context: Context) -> Recorder:
    """Starts the span of a call: what samplers need now, the rest when it ends, and only if the span records."""
    if found := current_attributes(context):
        # First, because a full span drops its oldest attributes: tags rather than what makes it a call.
        start = {**found, **start}
    model = start.get(semconv.REQUEST_MODEL)
    name = f"{surface.operation} {model}" if model else surface.operation
    span = tracing.tracer.start_span(name, context, SpanKind.CLIENT, start)
    recorder = Recorder(tracing, surface, span, start)
    if span.is_recording() or tracing.event is not None:
        guarded(recorder.describe_request, body)
    return recorder


def error_name(error: BaseException) -> str:
    """A low-cardinality name for `error.type`: the exception's class, the same for both SDKs."""
    return type(error).__qualname__
