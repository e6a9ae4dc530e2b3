"""Reads OTLP bytes that the protobuf parser refuses as a whole: bytes that are no UTF-8 cost their text, a damaged span itself.

Rust, Ruby, PHP and C++ senders write such texts, and a cut in the middle of a character makes one. Spans of senders from
before OTLP 0.16, under `instrumentation_library_spans`, are moved to where they belong on the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ...queries.protobuf_types import varint
from .defects import Defects

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_OLD_SPANS = 1000  # of ResourceSpans; its messages have the fields of ScopeSpans
_ALONE = frozenset({"Span", "LogRecord"})
_MAX_DEPTH = 100


class Damaged(ValueError):
    """The bytes are no protobuf message."""


def repaired(body: bytes, kind: Descriptor, defects: Defects, depth: int = 0) -> bytes:
    """
    The message's bytes with its texts in UTF-8 and without the spans and log records that are damaged.

    Raises:
        Damaged: what is wrong is not inside a span or a log record.
    """
    if depth > _MAX_DEPTH:
        raise Damaged("values are nested more than 100 levels deep")
    pieces = []
    for number, wire, value in _fields(body):
        field = kind.fields_by_number.get(number)
        if field is None or wire != _LENGTH:
            pieces.append(_encoded(number, wire, value))
        elif field.type == FieldDescriptor.TYPE_STRING:
            pieces.append(_encoded(number, wire, _text(value, field.name, defects)))
        elif field.type == FieldDescriptor.TYPE_MESSAGE and field.message_type is not None:
            try:
                pieces.append(_encoded(number, wire, repaired(value, field.message_type, defects, depth + 1)))
            except Damaged as error:
                if field.message_type.name not in _ALONE:
                    raise
                defects.drop(str(error))
        else:
            pieces.append(_encoded(number, wire, value))
    return b"".join(pieces)


def move_old_spans(request: ExportTraceServiceRequest, defects: Defects) -> None:
    """Makes `instrumentation_library_spans`, which the parser does not know any more, scope_spans."""
    for group in request.resource_spans:
        unknown: Any = UnknownFieldSet(group)  # whose stub cannot be iterated
        old = [field.data for field in unknown if field.field_number == _OLD_SPANS]
        if old:
            group.DiscardUnknownFields()
            for data in old:
                group.scope_spans.add().MergeFromString(data)
            defects.repair("instrumentation_library_spans, of senders older than OTLP 0.16, became scope_spans")


def _text(value: bytes, name: str, defects: Defects) -> bytes:
    try:
        value.decode()
    except UnicodeDecodeError as error:
        defects.repair(
            f"{name} was no UTF-8 at byte {error.start}; the character \N{REPLACEMENT CHARACTER} stands there"
        )
        return value.decode(errors="replace").encode()
    return value


def _fields(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(field number, wire type, value) of a message."""
    position = 0
    while position < len(body):
        tag, position = _number(body, position)
        number, wire = tag >> 3, tag & 7
        start = position
        if wire == _VARINT:
            _, position = _number(body, position)
        elif wire == _LENGTH:
            length, start = _number(body, position)
            position = start + length
        elif wire in (_FIXED64, _FIXED32):
            position += 8 if wire == _FIXED64 else 4
        else:
            raise Damaged(f"there is no wire type {wire}")
        if position > len(body) or not number:
            raise Damaged("the message is cut off")
        yield number, wire, body[start:position]


def _number(body: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(body) and shift < 70:
        byte = body[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position
    raise Damaged("a number is cut off")


def _encoded(number: int, wire: int, value: bytes) -> bytes:
    return varint(number << 3 | wire) + (varint(len(value)) if wire == _LENGTH else b"") + value
