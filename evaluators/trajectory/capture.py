"""Captures the spans of each case in process, so that offline an evaluator of traces needs no collector.

A private span processor is added to every tracer provider there is and to every one that is made later. Which case a span
belongs to is a value in its OpenTelemetry context, so that cases that run at the same time stay apart.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import wrapt
from opentelemetry import context, trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.util._once import Once

from ...instrument import observing
from ...instrument.tracing import active
from .trace import MAX_SPANS, Trace, trace_of

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span

DIALECTS = "evalspan.span_dialects"
"""Entry points of functions that bring the spans of an OTLP request to the conventions' names, in place."""
_KEY = context.create_key("evalspan-case")
_GRACE_S = 0.5


class CapturedSpans:
    """The spans of one case. Read `rows` or `trace` when the case is over."""

    def __init__(self) -> None:
        self._ended: list[ReadableSpan] = []
        self._open = 0
        self._lock = threading.Lock()
        self.left_out = 0
        """Spans beyond the first MAX_SPANS."""

    def __len__(self) -> int:
        return len(self._ended)

    def started(self) -> None:
        """Counts a span that began."""
        with self._lock:
            self._open += 1

    def ended(self, span: ReadableSpan) -> None:
        """Takes a span that ended."""
        with self._lock:
            self._open -= 1
            if len(self._ended) < MAX_SPANS:
                self._ended.append(span)
            else:
                self.left_out += 1

    @property
    def still_open(self) -> bool:
        """Whether a span that began has not ended."""
        return self._open > 0

    def wait(self, grace_s: float = _GRACE_S) -> None:
        """Waits a moment for spans that end after the answer: a stream that is closed late, a thread in the background."""
        until = time.monotonic() + grace_s
        while self.still_open and time.monotonic() < until:
            time.sleep(0.005)

    def rows(self) -> list[dict[str, Any]]:
        """The spans as rows with the columns of the table `spans`."""
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

        from .otlp_rows import rows_of

        with self._lock:
            spans = list(self._ended)
        if not spans:
            return []
        request = encode_spans(spans)
        for normalise in _dialects():
            normalise(request)
        rows = rows_of(request)
        # Microseconds are all that a row's time holds: what began within one keeps the order in which it began.
        order = {format(span.context.span_id, "016x"): span.start_time or 0 for span in spans if span.context}
        return sorted(rows, key=lambda row: order.get(row["span_id"], 0))

    def trace(self) -> Trace | None:
        """All spans of the case as one trace; None when nothing was captured."""
        rows = self.rows()
        return trace_of(rows, spans_left_out=self.left_out, complete=not self.still_open) if rows else None


@contextmanager
def capturing() -> Iterator[CapturedSpans]:
    """Captures the spans that begin inside, also in tasks and threads that carry the context on."""
    install()
    captured = CapturedSpans()
    token = context.attach(context.set_value(_KEY, captured))
    try:
        yield captured
    finally:
        context.detach(token)


def install() -> None:
    """Adds the processor to the provider there is, and to all that will be made; call it before the target is imported."""
    if not _watched:
        _watch_new_providers()
        for provider in _providers_made_before():
            _add_to(provider)
    _add_to(trace.get_tracer_provider())


@contextmanager
def providing() -> Iterator[None]:
    """Makes spans recordable inside where the process has no tracer provider: `@evalspan.observe` then needs no `init`.

    Called after the target is loaded. A target that calls `evalspan.init()` inside joins this provider, and it stays. Otherwise
    it is taken away again at the end, so that a process that runs cases on the way (pytest, a notebook) can set its own.
    """
    install()
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        yield
        return
    own = TracerProvider()
    trace.set_tracer_provider(own)
    try:
        yield
    finally:
        if trace.get_tracer_provider() is own and active() is None:
            _unset(own)


def _unset(own: TracerProvider) -> None:
    """Takes the global provider away. OpenTelemetry has no call for it, and lets one be set once."""
    observing.forget_environment()
    with suppress(AttributeError):  # a version that keeps it elsewhere keeps ours, which exports nothing
        trace._TRACER_PROVIDER = None  # noqa: SLF001
        trace._TRACER_PROVIDER_SET_ONCE = Once()  # noqa: SLF001
    own.shutdown()


class _CaseProcessor(SpanProcessor):
    """Hands every span to its case; costs one look-up for spans outside of any."""

    def __init__(self) -> None:
        self._cases: dict[tuple[int, int], CapturedSpans] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Finds the case: in the context, else that of the parent."""
        own, parent = span.get_span_context(), span.parent
        case = context.get_value(_KEY, parent_context)
        if not isinstance(case, CapturedSpans) and parent is not None:
            case = self._cases.get((parent.trace_id, parent.span_id))
        if isinstance(case, CapturedSpans) and own is not None:
            self._cases[own.trace_id, own.span_id] = case
            case.started()

    def on_end(self, span: ReadableSpan) -> None:
        """Hands the span over."""
        own = span.get_span_context()
        case = self._cases.pop((own.trace_id, own.span_id), None) if own is not None else None
        if case is not None:
            case.ended(span)


_processor = _CaseProcessor()
_watched = False


@cache
def _dialects() -> list[Callable[[Any], Any]]:
    return [found.load() for found in entry_points(group=DIALECTS)]


def _watch_new_providers() -> None:
    global _watched
    _watched = True

    def made(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        result = wrapped(*args, **kwargs)
        _add_to(instance)
        return result

    wrapt.wrap_function_wrapper(TracerProvider, "__init__", made)


def _providers_made_before() -> list[TracerProvider]:
    """Those that an instrumentor keeps to itself are registered nowhere: the garbage collector alone knows them."""
    # By type(), because isinstance would ask somebody's proxy objects.
    return [found for found in gc.get_objects() if issubclass(type(found), TracerProvider)]


def _add_to(provider: Any) -> None:
    """Adds the processor once; what cannot take one (no SDK, tracing switched off) is left alone."""
    add = getattr(provider, "add_span_processor", None)
    if add is None or _has_it(provider):
        return
    add(_processor)


def _has_it(provider: Any) -> bool:
    active = getattr(provider, "_active_span_processor", None)
    return any(one is _processor for one in getattr(active, "_span_processors", ()))
