"""One bad span costs one span: what is wrong inside a request is left out or repaired alone, counted and said."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.receivers import logs, spans
from evalspan.collector.receivers.defects import Defects
from evalspan.collector.receivers.otlp_json import from_json
from evalspan.collector.receivers.rejection import RequestRejected
from evalspan.collector.receivers.wire_repair import repaired

NOW = time.time_ns()
MARK, BAD = "MARKMARK", b"caf\xe9 \xff\xfe!"


def request() -> tuple[ExportTraceServiceRequest, Any]:
    """Three good spans, and the middle one."""
    made = ExportTraceServiceRequest()
    group = made.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = group.scope_spans.add()
    for number in range(1, 4):
        ids = {"trace_id": number.to_bytes(16, "big"), "span_id": number.to_bytes(8, "big")}
        scope.spans.add(**ids, name=f"s{number}", start_time_unix_nano=NOW, end_time_unix_nano=NOW + 5)
    return made, scope.spans[1]


def put(where: str, made: ExportTraceServiceRequest, span: Any) -> None:
    if where == "value":
        span.attributes.add(key="k").value.string_value = MARK
    elif where == "key":
        span.attributes.add(key=MARK).value.string_value = "v"
    elif where == "nested":
        span.attributes.add(key="k").value.kvlist_value.values.add(
            key="a"
        ).value.array_value.values.add().string_value = MARK
    elif where == "name":
        span.name = MARK
    elif where == "status":
        span.status.message = MARK
    elif where == "state":
        span.trace_state = MARK
    elif where == "event":
        span.events.add(name=MARK)
    elif where == "link":
        span.links.add(trace_state=MARK)
    elif where == "resource":
        made.resource_spans[0].resource.attributes.add(key=MARK).value.string_value = MARK
    elif where == "scope":
        made.resource_spans[0].scope_spans[0].scope.name = MARK
    elif where == "url":
        made.resource_spans[0].schema_url = MARK


@pytest.mark.parametrize(
    "where", ["value", "key", "nested", "name", "status", "state", "event", "link", "resource", "scope", "url"]
)
def test_bytes_that_are_no_utf8_cost_their_characters_and_nothing_else(where: str) -> None:
    made, span = request()
    put(where, made, span)
    body = made.SerializeToString().replace(MARK.encode(), BAD)
    defects = Defects()
    checked = spans.check(spans.parse(body, defects), body, 1 << 20, defects)
    assert (checked.accepted, checked.rejected) == (3, 0)
    assert "no UTF-8" in checked.message
    assert b"caf\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd!" in checked.body


def test_sound_bytes_come_out_of_the_repair_as_they_went_in() -> None:
    made, span = request()
    span.attributes.add(key="n").value.int_value = -5
    span.attributes.add(key="d").value.double_value = 1.5
    body = made.SerializeToString()
    defects = Defects()
    assert repaired(body, ExportTraceServiceRequest.DESCRIPTOR, defects) == body
    assert not defects


def test_a_span_that_is_cut_off_inside_is_left_out_alone() -> None:
    made, span = request()
    span.name = MARK
    body = made.SerializeToString()
    at = body.index(MARK.encode())
    damaged = body[: at - 1] + bytes([body[at - 1] + 90]) + body[at:]  # its name ends behind the span
    defects = Defects()
    checked = spans.check(spans.parse(damaged, defects), damaged, 1 << 20, defects)
    assert (checked.accepted, checked.rejected) == (2, 1)
    assert "1 spans rejected because they cannot be read" in checked.message


@pytest.mark.parametrize("body", [b"\x0a\xff\xff", b"not protobuf at all", b"\x0a\x05ab"])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(RequestRejected):
        spans.parse(body)


def test_spans_of_senders_before_otlp_0_16_are_stored() -> None:
    made, _ = request()
    group = made.resource_spans[0]
    old = group.scope_spans[0].SerializeToString()
    del group.scope_spans[:]
    inner = group.SerializeToString() + b"\xc2\x3e" + bytes([len(old) & 127 | 128, len(old) >> 7]) + old
    body = b"\x0a" + bytes([len(inner) & 127 | 128, len(inner) >> 7]) + inner
    defects = Defects()
    checked = spans.check(spans.parse(body, defects), body, 1 << 20, defects)
    assert checked.accepted == 3
    assert "instrumentation_library_spans" in checked.message
    tree = {
        "resourceSpans": [
            {"instrumentationLibrarySpans": [{"instrumentationLibrary": {"name": "old"}, "spans": [good(1)]}]}
        ]
    }
    found = from_json(json.dumps(tree).encode(), ExportTraceServiceRequest)
    assert found.resource_spans[0].scope_spans[0].scope.name == "old"
    assert len(found.resource_spans[0].scope_spans[0].spans) == 1


def good(number: int, **more: Any) -> dict[str, Any]:
    return {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": f"s{number}", "startTimeUnixNano": str(NOW), "endTimeUnixNano": str(NOW + 5), **more}  # fmt: skip


def attribute(value: str) -> str:
    return f'[{{"key": "k", "value": {value}}}, {{"key": "kept", "value": {{"stringValue": "yes"}}}}]'


# name -> (JSON of what is put into the middle span, whether it stays)
JSON: dict[str, tuple[str, bool]] = {
    "half a surrogate pair": ('"name": "half \\ud83e"', True),
    "half a surrogate pair in a value": (f'"attributes": {attribute(chr(123) + chr(34) + "stringValue" + chr(34) + ": " + chr(34) + "x" + chr(92) + "ud83e" + chr(34) + "}")}', True),
    "NaN as a word": (f'"attributes": {attribute("{" + chr(34) + "doubleValue" + chr(34) + ": NaN}")}', True),
    "Infinity as a word": (f'"attributes": {attribute("{" + chr(34) + "doubleValue" + chr(34) + ": -Infinity}")}', True),
    "an int out of range": (f'"attributes": {attribute("{" + chr(34) + "intValue" + chr(34) + ": " + chr(34) + "99999999999999999999" + chr(34) + "}")}', True),
    "an int that is none": (f'"attributes": {attribute("{" + chr(34) + "intValue" + chr(34) + ": " + chr(34) + "many" + chr(34) + "}")}', True),
    "a trace id that is no hexadecimal": ('"traceId": "not hexadecimal"', False),
    "a span id that is a number": ('"spanId": 5', False),
    "a parent id that is no hexadecimal": ('"parentSpanId": "zz"', False),
    "an id of a wrong length": ('"spanId": "abcd"', False),
    "a negative time": ('"startTimeUnixNano": "-5"', True),
    "a time out of range": ('"endTimeUnixNano": "99999999999999999999999"', True),
    "a time that is none": ('"startTimeUnixNano": "yesterday"', True),
    "an event at no time": ('"events": [{"name": "e", "timeUnixNano": "-1"}]', True),
    "a kind out of range": ('"kind": 99999999999999', False),
    "a name that is a list": ('"name": ["a"]', False),
    "a status that is a text": ('"status": "bad"', True),
    "attributes that are a table": ('"attributes": {"a": 1}', True),
    "a link with a bad id": ('"links": [{"traceId": "zz", "spanId": "00"}]', False),
}  # fmt: skip


@pytest.mark.parametrize("name", JSON)
def test_what_is_wrong_in_one_json_span_costs_no_other(name: str) -> None:
    text, stays = JSON[name]
    base = json.dumps(good(2))
    key = text.split(":")[0].strip('" ')
    kept = {k: v for k, v in good(2).items() if k != key}
    middle = json.dumps(kept)[:-1] + ", " + text + "}"
    assert base
    body = f'{{"resourceSpans": [{{"scopeSpans": [{{"spans": [{json.dumps(good(1))}, {middle}, {json.dumps(good(3))}]}}]}}]}}'
    defects = Defects()
    found = from_json(body.encode(), ExportTraceServiceRequest, defects)
    checked = spans.check(found, None, 1 << 20, defects)
    assert checked.accepted + checked.rejected == 3
    assert checked.accepted == (3 if stays else 2), checked.message
    if name not in ("NaN as a word", "Infinity as a word", "a status that is a text", "attributes that are a table"):
        assert checked.message
    stored = ExportTraceServiceRequest.FromString(checked.body).resource_spans[0].scope_spans[0].spans
    assert {"s1", "s3"} <= {span.name for span in stored}
    if stays and "kept" in text:
        assert any(pair.key == "kept" for span in stored for pair in span.attributes)


def test_a_byte_order_mark_and_bytes_that_are_no_utf8_in_json() -> None:
    tree = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [good(1)]}]}]}).encode()
    for body in (b"\xef\xbb\xbf" + tree, tree.replace(b"s1", b"s\xff1")):
        found = from_json(body, ExportTraceServiceRequest)
        assert len(found.resource_spans[0].scope_spans[0].spans) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b'{"resourceSpans": 5}',
        b'{"resourceSpans": [5]}',
        b"\xff\xfe{}",
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 3}]}]}]}',
    ],
)
def test_json_that_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(RequestRejected):
        from_json(body, ExportTraceServiceRequest)


def test_what_is_older_than_retention_is_accepted_and_said() -> None:
    made, span = request()
    span.start_time_unix_nano = NOW - 40 * 86_400 * 10**9
    body = made.SerializeToString()
    checked = spans.check(spans.parse(body), body, 1 << 20, keep_days=30)
    assert (checked.accepted, checked.rejected) == (3, 0)
    assert "1 spans are older than the 30 days" in checked.message
    assert not spans.check(spans.parse(body), body, 1 << 20, keep_days=0).message


def test_a_log_record_that_is_no_utf8_costs_no_other() -> None:
    made = ExportLogsServiceRequest()
    scope = made.resource_logs.add().scope_logs.add()
    for label in ("good", MARK):
        record = scope.log_records.add(trace_id=b"t" * 16, event_name="gen_ai.evaluation.result")
        record.attributes.add(key="gen_ai.evaluation.name").value.string_value = "helpful"
        record.attributes.add(key="gen_ai.evaluation.score.label").value.string_value = label
    body = made.SerializeToString().replace(MARK.encode(), BAD)
    defects = Defects()
    checked = logs.check(logs.parse(body, defects), 1 << 20, defects)
    assert checked.accepted_scores == 2
    assert "no UTF-8" in checked.message
