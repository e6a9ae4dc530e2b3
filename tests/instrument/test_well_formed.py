"""Half a surrogate pair anywhere in a span costs neither the span nor the batch, and no text that could be kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, Status, StatusCode

from evalspan.instrument.well_formed import is_well_formed, well_formed, well_formed_span

BAD = "half \ud83e of it"
GOOD = "half \ufffd of it"
PLACES: dict[str, Callable[[Any], Any]] = {
    "name": lambda tracer: tracer.start_span(BAD),
    "attribute": lambda tracer: tracer.start_span("s", attributes={"a": BAD}),
    "key": lambda tracer: tracer.start_span("s", attributes={BAD: "a"}),
    "list": lambda tracer: tracer.start_span("s", attributes={"a": ["x", BAD]}),
    "link": lambda tracer: tracer.start_span("s", links=[Link(tracer.start_span("t").get_span_context(), {"a": BAD})]),
}


def made(
    begin: Callable[[Any], Any], then: Callable[[Any], None] = lambda span: None, scope: str = "x"
) -> ReadableSpan:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False, resource=Resource({"service.name": "s"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    span = begin(provider.get_tracer(scope))
    then(span)
    span.end()
    return exporter.get_finished_spans()[-1]


SPANS: dict[str, Callable[[], ReadableSpan]] = {
    **{name: (lambda begin=begin: made(begin)) for name, begin in PLACES.items()},  # type: ignore[misc]
    "event": lambda: made(lambda t: t.start_span("s"), lambda span: span.add_event(BAD)),
    "event attribute": lambda: made(
        lambda t: t.start_span("s"), lambda span: span.add_event("e", {"a": BAD, BAD: "a"})
    ),
    "exception": lambda: made(lambda t: t.start_span("s"), lambda span: span.record_exception(ValueError(BAD))),
    "status": lambda: made(lambda t: t.start_span("s"), lambda span: span.set_status(Status(StatusCode.ERROR, BAD))),
    "scope": lambda: made(lambda t: t.start_span("s"), scope=BAD),
}


@pytest.mark.parametrize("place", SPANS)
def test_a_span_with_half_a_pair_is_sent_whole(place: str, caplog: pytest.LogCaptureFixture) -> None:
    span = SPANS[place]()
    sent = encode_spans([well_formed_span(span)]).SerializeToString()
    assert GOOD.encode() in sent
    assert b"half" in sent
    assert caplog.records == []


def test_a_span_without_one_is_not_copied() -> None:
    span = made(lambda t: t.start_span("s", attributes={"a": "é", "b": ["x", 1], "c": 2}))
    assert well_formed_span(span) is span


@given(st.text(st.characters(codec=None, categories=None), max_size=20))
def test_every_text_becomes_one_that_can_be_sent_and_stays_what_it_was_if_it_can(text: str) -> None:
    fixed = well_formed(text)
    assert fixed.encode().decode() == fixed
    if is_well_formed(text):
        assert fixed == text


def test_halves_that_belong_together_are_joined() -> None:
    assert well_formed("\ud83e\udd16 x \ud83e") == "\U0001f916 x \ufffd"
