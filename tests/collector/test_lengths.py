"""Tests that an attribute which is too long is found wherever it stands in a body, and that the others are left alone."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.receivers import element_count, spans

LONGEST = 1_000


def request_of(count: int) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    for number in range(count):
        span = group.scope_spans.add().spans.add(
            trace_id=bytes([1] * 16), span_id=number.to_bytes(8, "big"), start_time_unix_nano=1_700_000_000 * 10**9
        )
        span.span_id = (number + 1).to_bytes(8, "big")
        span.attributes.add(key="text").value.string_value = "x" * (LONGEST // 2)
    return request


def long_in(place: str) -> bytes:
    request, text = request_of(4), "y" * (LONGEST + 500)
    group, last = request.resource_spans[0], request.resource_spans[0].scope_spans[-1].spans[0]
    if place == "resource":
        group.resource.attributes.add(key="a").value.string_value = text
    elif place == "event":
        last.events.add(name="e").attributes.add(key="a").value.string_value = text
    elif place == "link":
        last.links.add(trace_id=bytes(16)).attributes.add(key="a").value.string_value = text
    elif place == "name":
        last.name = text
    elif place == "status":
        last.status.message = text
    elif place == "another group":
        other = request_of(1)
        other.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="a").value.string_value = text
        return request.SerializeToString() + other.SerializeToString()
    else:
        last.attributes.add(key="a").value.string_value = text
    return request.SerializeToString()


@pytest.mark.parametrize("place", ["attribute", "resource", "event", "link", "name", "status", "another group"])
def test_what_is_too_long_is_cut_wherever_it_stands(place: str) -> None:
    body = long_in(place)
    checked = spans.check(spans.parse(body), body, LONGEST)
    assert "1 attributes longer than 1000 bytes were cut" in checked.message
    assert b"y" * LONGEST in checked.body
    assert b"y" * (LONGEST + 1) not in checked.body


def test_a_resource_in_two_parts_is_as_long_as_both() -> None:
    half = b"\x0a\xd8\x04\x0a\x01a\x12\xd2\x04\x0a\xcf\x04" + b"y" * 591  # a resource attribute of about 600 bytes
    part = b"\x0a" + bytes([len(half) & 127 | 128, len(half) >> 7]) + half
    group = part + part
    body = b"\x0a" + bytes([len(group) & 127 | 128, len(group) >> 7]) + group + request_of(3).SerializeToString()
    assert spans._has_long_part(body, LONGEST)
    assert not spans._has_long_part(body, 2 * LONGEST)


def test_a_body_of_usual_spans_stays_as_it_came() -> None:
    body = request_of(8).SerializeToString()
    checked = spans.check(spans.parse(body), body, LONGEST)
    assert len(body) > LONGEST
    assert checked.body is body
    assert not checked.message


@pytest.mark.parametrize("attributes", [0, 1, 7, 3_000])
@pytest.mark.parametrize("kind", ["texts", "lists", "tables"])
def test_elements_are_never_counted_too_low_nor_more_than_twice(attributes: int, kind: str) -> None:
    request = request_of(40)
    for group in request.resource_spans:
        for scope in group.scope_spans:
            span = scope.spans[0]
            for number in range(attributes // 10 + attributes % 10):
                value = span.attributes.add(key=f"k{number}").value
                if kind == "texts":
                    value.string_value = "t" * 40
                elif kind == "lists":
                    value.array_value.values.add(int_value=number)
                else:
                    value.kvlist_value.values.add(key="a").value.int_value = number
    each = 1 + 1 + attributes // 10 + attributes % 10  # a span, its text, the others; its scope counts, too
    exact = element_count._count(request.SerializeToString(), element_count._LAYOUTS["traces"], 0)
    counted = element_count.count_protobuf(request.SerializeToString(), "traces")
    assert counted >= 40 * each
    if kind == "texts":
        assert exact <= counted <= 2 * exact + 2
