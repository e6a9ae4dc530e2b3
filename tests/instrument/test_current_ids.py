"""`current_ids`: the ids that an app keeps beside an answer are those of the span to score later, wherever it asks."""

from __future__ import annotations

import asyncio
import threading

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

import evalspan

from .conftest import Spans


def ids_of(span: ReadableSpan) -> tuple[str, str]:
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def named(spans: Spans, name: str) -> ReadableSpan:
    return next(span for span in spans.all() if span.name == name)


def test_outside_of_any_span_there_are_none(spans: Spans) -> None:
    assert evalspan.current_ids() == (None, None)
    with evalspan.span("work"):
        pass
    assert evalspan.current_ids() == (None, None)


def test_they_are_the_innermost_spans_and_come_apart_by_name(spans: Spans) -> None:
    with evalspan.span("outer"):
        outer = evalspan.current_ids()
        with evalspan.span("inner"):
            inner = evalspan.current_ids()
        again = evalspan.current_ids()
    assert inner.trace_id == outer.trace_id
    assert (inner.trace_id, inner.span_id) == ids_of(named(spans, "inner"))
    assert outer == again
    assert outer == ids_of(named(spans, "outer"))


@evalspan.observe(name="async function")
async def in_a_coroutine() -> tuple[str | None, str | None]:
    await asyncio.sleep(0)
    return evalspan.current_ids()


@evalspan.observe(name="generator")
def in_a_generator():
    yield evalspan.current_ids()


def test_observed_functions_of_every_kind_see_their_own(spans: Spans) -> None:
    assert asyncio.run(in_a_coroutine()) == ids_of(named(spans, "async function"))
    assert list(in_a_generator()) == [ids_of(named(spans, "generator"))]
    assert evalspan.current_ids() == (None, None)


def test_threads_see_the_span_that_they_were_started_in(spans: Spans) -> None:
    seen: list[tuple[str | None, str | None]] = []
    with evalspan.span("work"):
        thread = threading.Thread(target=lambda: seen.append(evalspan.current_ids()))
        thread.start()
        thread.join()
    assert seen == [ids_of(named(spans, "work"))]


def test_spans_of_others_count_and_where_nothing_is_traced_there_are_none(spans: Spans) -> None:
    with spans.provider.get_tracer("theirs").start_as_current_span("theirs"):
        assert evalspan.current_ids() == ids_of_current()
    with evalspan.suppress(), evalspan.span("never made"):
        assert evalspan.current_ids() == (None, None)


def ids_of_current() -> tuple[str, str]:
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


@pytest.mark.parametrize("context", [SpanContext(7, 9, is_remote=True, trace_flags=TraceFlags(1))])
def test_a_caller_in_another_process_counts_too(context: SpanContext, spans: Spans) -> None:
    with use_span(NonRecordingSpan(context)):
        assert evalspan.current_ids() == (f"{7:032x}", f"{9:016x}")
