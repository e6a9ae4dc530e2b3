"""What the outline of a span says is what the full parser says, however the sender encodes its attributes."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from evalspan.collector.dialects import normalise
from evalspan.collector.dialects.span_outline import Reader, is_plain_count, is_text, text_of
from evalspan.queries.protobuf_types import varint

WANTED = frozenset({"a", "k" * 200})
READER = Reader(WANTED, "ours", lambda key: (lambda raw: not is_text(raw)) if key == "suspicious" else None)


def encoded(attributes: list[bytes], **fields: object) -> bytes:
    """A request with one span, whose attributes are these bytes."""
    span = Span(trace_id=b"t" * 16, span_id=b"s" * 8, **fields).SerializeToString()  # type: ignore[arg-type]
    span += b"".join(b"\x4a" + varint(len(one)) + one for one in attributes)
    scope = b"\x0a\x05\x0a\x03foo" + b"\x12" + varint(len(span)) + span
    group = b"\x12" + varint(len(scope)) + scope
    return b"\x0a" + varint(len(group)) + group


def text(value: str) -> bytes:
    inner = AnyValue(string_value=value).SerializeToString()
    return b"\x12" + varint(len(inner)) + inner


ENCODINGS = {
    "as usual": b"\x0a\x01a" + text("x"),
    "the value first": text("x") + b"\x0a\x01a",
    "the key's length in two bytes": b"\x0a\x81\x00a" + text("x"),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_an_attribute_is_found_however_it_is_encoded(name: str) -> None:
    body = encoded([ENCODINGS[name]])
    assert ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans[0].attributes[0].key == "a"
    [span] = READER.read(body)
    assert text_of(span.facts["a"]) == "x"


def test_long_keys_and_texts_are_read_and_odd_attributes_harm_nothing() -> None:
    long = KeyValue(key="k" * 200, value=AnyValue(string_value="y" * 5000)).SerializeToString()
    [span] = READER.read(encoded([b"", b"\x0a\x00", b"\x12\x00", b"\x0a\x05h\xc3\xa9llo"[:7] + text("z"), long]))
    assert text_of(span.facts["k" * 200]) == "y" * 5000
    assert not span.suspect


@pytest.mark.parametrize("value", [0, 1, 127, 128, 16384, 2**31, 2**62, -1, -(2**62), 1.5, True, "7", b"7", [7]])
def test_plain_counts_and_texts_are_told_apart_from_all_else(value: object) -> None:
    field = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value", bytes: "bytes_value"}
    if isinstance(value, list):
        one = AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=7)]))
    else:
        one = AnyValue(**{field[type(value)]: value})  # type: ignore[arg-type]
    raw = KeyValue(key="a", value=one).SerializeToString()
    assert is_plain_count(raw) is (type(value) is int and value >= 0)  # type: ignore[operator]
    assert is_text(raw) is isinstance(value, str)


@pytest.mark.parametrize("length", [0, 1, 100, 126, 127, 128, 20_000])
def test_a_text_is_one_at_any_length(length: int) -> None:
    assert is_text(KeyValue(key="a", value=AnyValue(string_value="x" * length)).SerializeToString())


def test_only_spans_of_others_are_suspect_by_value_status_and_events() -> None:
    plain = encoded([b"\x0a\x0asuspicious" + text("x")])
    nested = encoded([KeyValue(key="suspicious", value=AnyValue(array_value=ArrayValue())).SerializeToString()])
    failed, event = encoded([], status={"code": 2}), encoded([], events=[Span.Event(name="e")])
    assert [next(READER.read(body)).suspect for body in (plain, nested, failed, event)] == [False, True, True, True]
    [span] = Reader(WANTED, "foo", lambda _: lambda _: True).read(failed)
    assert not span.suspect


def test_a_foreign_span_between_ordinary_ones_is_the_one_that_is_rewritten() -> None:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in range(3):
        span = spans.add(trace_id=b"t" * 16, span_id=bytes([number + 1] * 8))
        span.attributes.add(key="gen_ai.system" if number == 1 else "x").value.string_value = "openai"
    assert normalise(request, body=request.SerializeToString())
    assert [[pair.key for pair in span.attributes] for span in spans][::2] == [["x"], ["x"]]
    assert "gen_ai.provider.name" in [pair.key for pair in spans[1].attributes]
