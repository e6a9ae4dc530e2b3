"""Checks a trace export request before it is made durable: counts it, rejects what has no identity, cuts what is too long.

The common case costs one parse in C and a look at every span's ids; the client's bytes are then kept as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ...instrument import semconv
from ...queries.protobuf_types import BYTES, MESSAGE, REPEATED, Field, message_types
from .defects import Defects
from .far_days import DAY_NS, usual_times
from .rejection import RequestRejected
from .times import set_missing_times
from .wire_repair import Damaged, move_old_spans, repaired

RefusedDays = Callable[[set[int]], Mapping[int, str]]
_NO_TRACE, _NO_SPAN = bytes(16), bytes(8)
_PARTS: dict[str, tuple[Field, ...]] = {
    "Request": (("resource_spans", 1, REPEATED, MESSAGE, "Group"),),
    "Group": (("resources", 1, REPEATED, BYTES, ""), ("scope_spans", 2, REPEATED, MESSAGE, "Scope")),
    "Scope": (("spans", 2, REPEATED, BYTES, ""),),
}
_REQUEST = message_types("evalspan.span_lengths", _PARTS)["Request"]


class Checked(NamedTuple):
    """What may be made durable of a request, and what is said about the rest."""

    body: bytes
    accepted: int
    rejected: int
    timed: int  # spans that came without a usable time and were given one
    message: str  # empty when there is nothing to say
    crowded: int = 0  # of the rejected, those on days far from the present that found no place


def parse(body: bytes, defects: Defects | None = None) -> ExportTraceServiceRequest:
    """The request; what of it cannot be read is counted in `defects`. RequestRejected when the bytes are no request."""
    defects = Defects() if defects is None else defects
    kind = ExportTraceServiceRequest
    try:
        try:
            request = kind.FromString(body)
        except DecodeError:
            request = kind.FromString(repaired(body, kind.DESCRIPTOR, defects))
        move_old_spans(request, defects)
        return request
    except (DecodeError, Damaged) as error:
        raise RequestRejected.malformed(
            f"the body ({len(body)} bytes) is not a protobuf ExportTraceServiceRequest: {error}"
        ) from error


def check(
    request: ExportTraceServiceRequest,
    body: bytes | None,
    max_length: int,
    defects: Defects | None = None,
    *,
    keep_days: int = 0,
    refused_days: RefusedDays = lambda _: {},
) -> Checked:
    """Looks at every span of `request`, whose encoding is `body` if there is one yet and it has no `defects`.

    Spans that are older than the `keep_days` that spans are kept (0: for ever) are said, and accepted; those on days far
    from the present that find no place, which `refused_days` says with the reason, are rejected.

    Spans whose trace or span id is missing, all zero or of the wrong length are rejected. Attributes of more than
    `max_length` bytes are cut, and their names listed in the span's attribute `evalspan.truncated`. Spans without a usable
    time are given one.
    """
    # No attribute can be longer than the whole body: small requests need no look at the lengths.
    lengths_matter = body is None or (len(body) > max_length and _has_long_part(body, max_length))
    accepted = rejected = cut = timed = old = crowded = 0
    now = time.time_ns()
    oldest, usual = now - keep_days * DAY_NS if keep_days else 0, usual_times(now, keep_days)
    no_place = ""
    if defects:
        body = None
    for resource_spans in request.resource_spans:
        if lengths_matter and resource_spans.resource.ByteSize() > max_length:
            cut += _cut_values(resource_spans.resource.attributes, max_length, set())
        for scope_spans in resource_spans.scope_spans:
            spans = scope_spans.spans
            rejected += _drop_nameless(spans)
            timed_here, far = set_missing_times(spans, usual)
            timed += timed_here
            if far:
                old += sum(start < oldest for start in far)
                if reasons := refused_days({start // DAY_NS for start in far}):
                    crowded += _drop_days(spans, reasons)
                    no_place = next(iter(reasons.values()))
            accepted += len(spans)
            if lengths_matter:
                cut += sum(_cut_span(span, max_length) for span in spans if span.ByteSize() > max_length)
    if body is None or rejected or cut or timed or crowded:
        body = request.SerializeToString()
    messages = defects.sentences("spans") if defects else []
    messages += _rejection_lines(rejected, cut, timed, max_length)
    if old:
        messages.append(
            f"{old} spans are older than the {keep_days} days of [retention] spans_days and are soon deleted"
        )
    if crowded:
        messages.append(f"{crowded} spans rejected for their start: {no_place}")
    dropped = defects.dropped if defects else 0
    return Checked(body, accepted, rejected + dropped + crowded, timed, "; ".join(messages), crowded)


def _has_long_part(body: bytes, max_length: int) -> bool:
    """Whether a resource or a span of an encoded request is longer; a resource that comes in parts is one."""
    for group in _REQUEST.FromString(body).resource_spans:
        if sum(map(len, group.resources)) > max_length:
            return True
        if any(len(span) > max_length for scope in group.scope_spans for span in scope.spans[:]):
            return True
    return False


def _drop_nameless(spans: Any) -> int:
    """Takes the spans out whose trace or span id is missing, all zero or of the wrong length; how many they were."""
    nameless = [
        index
        for index, span in enumerate(spans)
        if len(trace_id := span.trace_id) != 16
        or len(span_id := span.span_id) != 8
        or trace_id == _NO_TRACE
        or span_id == _NO_SPAN
    ]
    for index in reversed(nameless):
        del spans[index]
    return len(nameless)


def _drop_days(spans: Any, days: Mapping[int, str]) -> int:
    """Takes the spans that start on these days out; how many they were."""
    found = [index for index, span in enumerate(spans) if span.start_time_unix_nano // DAY_NS in days]
    for index in reversed(found):
        del spans[index]
    return len(found)


def _cut_span(span: Span, max_length: int) -> int:
    names: set[str] = set()
    cut = _cut_values(span.attributes, max_length, names)
    for event in span.events:
        cut += _cut_values(event.attributes, max_length, names)
    for link in span.links:
        cut += _cut_values(link.attributes, max_length, names)
    if len(span.name) > max_length:
        span.name, cut = span.name[:max_length], cut + 1
        names.add("name")
    if len(span.status.message) > max_length:
        span.status.message, cut = span.status.message[:max_length], cut + 1
        names.add("status.message")
    if names:
        mark = span.attributes.add(key=semconv.TRUNCATED).value.array_value
        for name in sorted(names):
            mark.values.add(string_value=name)
    return cut


def _cut_values(attributes: Iterable[KeyValue], max_length: int, names: set[str]) -> int:
    """Cuts the values in place and adds their keys to `names`; returns how many there were."""
    cut = 0
    for attribute in attributes:
        if attribute.ByteSize() <= max_length:
            continue
        if len(attribute.key) > 256:
            attribute.key = attribute.key[:256]
        value = attribute.value
        if value.WhichOneof("value") == "string_value":
            value.string_value = value.string_value.encode()[:max_length].decode(errors="ignore")
        else:
            value.string_value = f"({value.ByteSize()} bytes of {value.WhichOneof('value')}, longer than {max_length})"
        names.add(attribute.key)
        cut += 1
    return cut


def _rejection_lines(rejected: int, cut: int, timed: int, max_length: int) -> list[str]:
    messages = []
    if rejected:
        messages.append(
            f"{rejected} spans rejected: a trace id has 16 bytes and a span id 8, and neither may be missing or all zero"
        )
    if cut:
        messages.append(
            f"{cut} attributes longer than {max_length} bytes were cut; {semconv.TRUNCATED} on the span names them"
        )
    if timed:
        messages.append(
            f"{timed} spans without a usable start_time_unix_nano were given their end time, or the time of arrival;"
            f" {semconv.START_TIME_SAID} on the span has what was sent"
        )
    return messages
