"""How many elements a body has, counted before it is parsed: two bytes of a body can become 200 in memory, and a loop's turn.

Long parts of a protobuf body are walked through here, up to the limit and no further; short ones, such as most spans, are
counted by the C parser through small message types of our own, in which what they hold is plain bytes and no objects.
JSON is counted by its brackets and commas, texts left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

# An element is a span, an attribute, an event, a value in a list, and so on. A span has about 25.
MAX_ELEMENTS = 300_000
# Of JSON each bracket and comma is one: about 150 for a span.
MAX_JSON_ELEMENTS = 1_500_000
# What a parsed element takes in memory, by measurement (benchmarks: tests/collector/test_body_bombs.py).
BYTES_PER_ELEMENT, BYTES_PER_JSON_ELEMENT = 250, 160
# A body this small cannot hold many.
SMALL_BODY = 256 * 1024

_STRING = re.compile(
    rb'"(?:[^"\\]+|\\.)*+"?', re.DOTALL
)  # never tried twice from one place: an open text ends with the body
_REPEATED = 3
_BYTES, _MESSAGE = 12, 11
_WITH_LENGTH, _FIXED, _MAX_VARINT_SHIFT = 2, {1: 8, 5: 4}, 63

# Field numbers of OTLP: {field: what is in it}; None is a list of attributes, "AnyValue" a value.
_RESOURCE: dict[int, Any] = {1: None}
_SCOPE: dict[int, Any] = {3: None}
_POINTS: dict[int, Any] = {1: {7: None, 1: None, 9: None, 5: {}, 8: {}, 11: {}}}
LAYOUTS: dict[str, dict[int, Any]] = {
    "traces": {1: {1: _RESOURCE, 2: {1: _SCOPE, 2: {9: None, 11: {3: None}, 13: {4: None}}}}},
    "logs": {1: {1: _RESOURCE, 2: {1: _SCOPE, 2: {6: None, 5: "AnyValue"}}}},
    "metrics": {1: {1: _RESOURCE, 2: {1: _SCOPE, 2: {5: _POINTS, 7: _POINTS, 9: _POINTS, 10: _POINTS, 11: _POINTS}}}},
}


class TooManyElements(ValueError):
    """The body would become more than is allowed."""


def count_protobuf(body: bytes, signal: str) -> int:
    """
    An upper bound of the elements in an export request of `signal`, traces, logs or metrics.

    Raises:
        TooManyElements: there are more than MAX_ELEMENTS.
        DecodeError: it is no protobuf.
    """
    try:
        return _count(body, _LAYOUTS[signal], 0, exact=False)
    except TooManyElements:  # long texts in lists count for more than they are at first
        return _count(body, _LAYOUTS[signal], 0, exact=True)


def count_json(body: bytes) -> int:
    """
    The elements of a JSON body.

    Raises:
        TooManyElements: there are more than MAX_JSON_ELEMENTS.
    """
    if body.count(b'"') - body.count(b'\\"') > 4 * MAX_JSON_ELEMENTS:  # a name and a value each
        raise TooManyElements(f"the body has more than {MAX_JSON_ELEMENTS} values")
    plain = _STRING.sub(b"", body)
    total = sum(plain.count(sign) for sign in (b"[", b"{", b","))
    if total > MAX_JSON_ELEMENTS:
        raise TooManyElements(f"the body has more than {MAX_JSON_ELEMENTS} values")
    return total


class _Layout:
    """The message types for one level, made once."""

    def __init__(self, fields: dict[int, Any]) -> None:
        self.children = {
            number: _Layout(inner) for number, inner in fields.items() if isinstance(inner, dict) and inner
        }
        self.numbers = tuple(fields)
        values: dict[int, str] = {
            number: inner or "KeyValue" for number, inner in fields.items() if not isinstance(inner, dict)
        }
        self.values = values
        self.attributes = tuple(values)
        self.parts = _message_type(dict.fromkeys(fields, ""))
        self.nested = _message_type(values) if values else None


def _count(body: bytes, layout: _Layout, total: int, *, exact: bool) -> int:
    """`total` plus the elements of this part."""
    attributes = 0
    for number, found in _parts(body, layout, MAX_ELEMENTS - total):
        total += len(found)
        attributes += len(found) if number in layout.attributes else 0
        if total > MAX_ELEMENTS:
            raise TooManyElements(f"the body has more than {MAX_ELEMENTS} spans, attributes, events and values")
        child = layout.children.get(number)
        if child is not None:
            for part in found:
                if part:
                    total = _count(part, child, total, exact=exact)
    if layout.nested is not None and attributes:
        total += _nested(body, layout, attributes, MAX_ELEMENTS - total, exact=exact)
        if total > MAX_ELEMENTS:
            raise TooManyElements(f"the body has more than {MAX_ELEMENTS} values in attributes")
    return total


def _parts(body: bytes, layout: _Layout, room: int) -> Iterator[tuple[int, Sequence[bytes]]]:
    """The parts of a message by their field's number."""
    if len(body) <= SMALL_BODY:
        message = layout.parts.FromString(body)
        yield from ((number, getattr(message, f"f{number}")) for number in layout.numbers)
        return
    found: dict[int, list[bytes]] = {number: [] for number in layout.numbers}
    for number, begin, end in _fields(body, room + 1):
        if number in found:
            found[number].append(body[begin:end])
    yield from found.items()


def _nested(body: bytes, layout: _Layout, attributes: int, room: int, *, exact: bool) -> int:
    """The elements in lists and tables that are values of attributes."""
    assert layout.nested is not None
    values = layout.nested.FromString(body)
    values.DiscardUnknownFields()  # only lists and tables are left, and what holds them
    most = max(0, int(values.ByteSize()) - 4 * attributes) // 2
    if not exact or not most:
        return most
    total = 0
    for number, begin, end in _fields(body, MAX_ELEMENTS):
        if number in layout.attributes:
            pair = body[begin:end]
            for value in [pair] if layout.values[number] == "AnyValue" else _inside(pair, (2,)):
                total += _elements(value, room - total)
    return total


def _elements(value: bytes, room: int) -> int:
    """The elements of a list or table, those in further lists and tables included."""
    total = 0
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        for container in _inside(inner, (5, 6)):
            for element in _inside(container, (1,)):
                total += 1
                if total > room:
                    raise TooManyElements(f"the body has more than {MAX_ELEMENTS} values in attributes")
                waiting.append(element)
                waiting.extend(_inside(element, (2,)))  # the value of a table's entry
    return total


def _inside(body: bytes, numbers: tuple[int, ...]) -> Iterator[bytes]:
    return (body[begin:end] for number, begin, end in _fields(body, MAX_ELEMENTS) if number in numbers)


def _fields(body: bytes, room: int) -> Iterator[tuple[int, int, int]]:
    """
    Number, begin and end of every field that has a length. Ends where the bytes make no sense: the parser says so.

    Raises:
        TooManyElements: there are more than `room` fields, of whatever kind.
    """
    at, size = 0, len(body)
    while at < size:
        room -= 1
        if room < 0:
            raise TooManyElements(f"the body has more than {MAX_ELEMENTS} fields")
        tag, at = _varint(body, at)
        kind = tag & 7
        if kind == _WITH_LENGTH:
            length, at = _varint(body, at)
            if at + length > size:
                return
            yield tag >> 3, at, at + length
            at += length
        elif kind == 0:
            _, at = _varint(body, at)
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:
            return


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """A number and the place behind it; the end of the body when it is cut."""
    value = shift = 0
    while at < len(body):
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > _MAX_VARINT_SHIFT:
            break
    return 0, len(body)


_POOL = descriptor_pool.DescriptorPool()
_made = 0


def _message_type(fields: dict[int, str]) -> Any:
    """A message whose fields are repeated bytes, or repeated messages of one of the types below."""
    global _made
    _made += 1
    file = descriptor_pb2.FileDescriptorProto(name=f"count{_made}.proto", package="evalspan.count", syntax="proto3")
    if any(fields.values()):
        file.dependency.append("count_values.proto")
    message = file.message_type.add(name=f"Level{_made}")
    for number, kind in fields.items():
        field = message.field.add(name=f"f{number}", number=number, label=_REPEATED, type=_MESSAGE if kind else _BYTES)
        if kind:
            field.type_name = f".evalspan.count.{kind}"
    _POOL.Add(file)
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"evalspan.count.Level{_made}"))


def _add_values() -> None:
    """KeyValue and AnyValue with nothing but what can hold further values."""
    file = descriptor_pb2.FileDescriptorProto(name="count_values.proto", package="evalspan.count", syntax="proto3")
    value = file.message_type.add(name="AnyValue")
    value.field.add(name="array", number=5, label=_REPEATED, type=_BYTES)
    value.field.add(name="table", number=6, label=_REPEATED, type=_BYTES)
    pair = file.message_type.add(name="KeyValue")
    pair.field.add(name="value", number=2, label=_REPEATED, type=_MESSAGE, type_name=".evalspan.count.AnyValue")
    _POOL.Add(file)


_add_values()
_LAYOUTS = {signal: _Layout(fields) for signal, fields in LAYOUTS.items()}

__all__ = ["MAX_ELEMENTS", "MAX_JSON_ELEMENTS", "DecodeError", "TooManyElements", "count_json", "count_protobuf"]
