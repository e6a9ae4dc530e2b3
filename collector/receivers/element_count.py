"""How many elements a body has, counted before it is parsed: two bytes of a body can become 200 in memory, and a loop's turn.

Long parts of a protobuf body are walked through here, up to the limit and no further; runs of short ones, such as spans,
are counted by the C parser through small message types of our own, whose encoding without all else is as long as there
are elements. JSON is counted by its brackets and commas, texts left out.
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
# Up to here a bound that may be twice too high does, which takes one pass instead of two.
_FEW_ELEMENTS = 60_000

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
    An upper bound of the elements in an export request of `signal`, traces, logs or metrics, but for one element of a list
    in each span. Below 60,000 it is at most twice the number.

    Raises:
        TooManyElements: there are more than MAX_ELEMENTS.
        DecodeError: it is no protobuf.
    """
    try:
        return _estimate(body, _LAYOUTS[signal], 0)
    except TooManyElements:  # long texts in lists count for more than they are at first
        return _count(body, _LAYOUTS[signal], 0)


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
        inner = self.children
        # Two encodings of the same: elements alone, and elements with the lists and tables in their values.
        self.slim: Any = _message_type({n: inner[n].slim.DESCRIPTOR.name if n in inner else "Nothing" for n in fields})
        self.nested: Any = _message_type(
            {n: values.get(n) or (inner[n].nested.DESCRIPTOR.name if n in inner else "Nothing") for n in fields}
        )
        self.values_here = _message_type(values) if values else None


def _estimate(body: bytes, layout: _Layout, total: int) -> int:
    """`total` plus what this part has at most."""
    for run, of in _runs(body, layout, MAX_ELEMENTS):
        if of is layout:
            # An element is two bytes, its value two more; what is left are lists and tables.
            with_values = _size(of.nested, run)
            if total + with_values // 2 <= _FEW_ELEMENTS:
                total += with_values // 2
            else:
                elements = _size(of.slim, run)
                total += max(elements, with_values - elements) // 2
        else:
            total = _estimate(run, of, total)
        if total > MAX_ELEMENTS:
            raise TooManyElements(f"the body has more than {MAX_ELEMENTS} spans, attributes, events and values")
    return total


def _size(kind: Any, run: bytes) -> int:
    message = kind.FromString(run)
    message.DiscardUnknownFields()
    return int(message.ByteSize())


def _runs(body: bytes, layout: _Layout, room: int) -> Iterator[tuple[bytes, _Layout]]:
    """The message in pieces, each a message of the same kind that the C parser may take, or a long part of its own kind."""
    if len(body) <= SMALL_BODY:
        yield body, layout
        return
    begun = behind = 0
    for number, begin, end in _fields(body, room):
        child = layout.children.get(number)
        if child is not None and end - begin > SMALL_BODY:
            yield body[begun:behind], layout
            yield body[begin:end], child
            begun = end
        elif end - begun > SMALL_BODY:
            yield body[begun:behind], layout
            begun = behind
        behind = end
    yield body[begun:behind], layout


def _count(body: bytes, layout: _Layout, total: int) -> int:
    """`total` plus the elements of this part, without those of long texts."""
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
                    total = _count(part, child, total)
    if layout.values_here is not None and attributes:
        total += _nested(body, layout, attributes, MAX_ELEMENTS - total)
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


def _nested(body: bytes, layout: _Layout, attributes: int, room: int) -> int:
    """The elements in lists and tables that are values of attributes."""
    # Only lists and tables are left, and what holds them: mostly there are none to walk through.
    if _size(layout.values_here, body) <= 4 * attributes:
        return 0
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
        tag = body[at]
        if tag < 0x80:  # nearly always
            at += 1
        else:
            tag, at = _varint(body, at)
        kind = tag & 7
        if kind == _WITH_LENGTH:
            length, at = _length(body, at)
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


def _length(body: bytes, at: int) -> tuple[int, int]:
    """As `_varint`, quick for the lengths of spans."""
    if at + 1 < len(body):
        low, high = body[at], body[at + 1]
        if low < 0x80:
            return low, at + 1
        if high < 0x80:
            return low & 0x7F | high << 7, at + 2
    return _varint(body, at)


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
_FILES = dict.fromkeys(("AnyValue", "KeyValue", "Nothing"), "count_values.proto")
_made = 0


def _message_type(fields: dict[int, str]) -> Any:
    """A message whose fields are repeated bytes, or repeated messages of one of the types below."""
    global _made
    _made += 1
    file = descriptor_pb2.FileDescriptorProto(name=f"count{_made}.proto", package="evalspan.count", syntax="proto3")
    file.dependency.extend(sorted({_FILES[kind] for kind in fields.values() if kind}))
    message = file.message_type.add(name=f"Level{_made}")
    for number, kind in fields.items():
        field = message.field.add(name=f"f{number}", number=number, label=_REPEATED, type=_MESSAGE if kind else _BYTES)
        if kind:
            field.type_name = f".evalspan.count.{kind}"
    _POOL.Add(file)
    _FILES[message.name] = file.name
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"evalspan.count.Level{_made}"))


def _add_values() -> None:
    """KeyValue and AnyValue with nothing but what can hold further values, and what is only counted."""
    file = descriptor_pb2.FileDescriptorProto(name="count_values.proto", package="evalspan.count", syntax="proto3")
    value = file.message_type.add(name="AnyValue")
    value.field.add(name="array", number=5, label=_REPEATED, type=_BYTES)
    value.field.add(name="table", number=6, label=_REPEATED, type=_BYTES)
    pair = file.message_type.add(name="KeyValue")
    pair.field.add(name="value", number=2, label=_REPEATED, type=_MESSAGE, type_name=".evalspan.count.AnyValue")
    file.message_type.add(name="Nothing")
    _POOL.Add(file)


_add_values()
_LAYOUTS = {signal: _Layout(fields) for signal, fields in LAYOUTS.items()}

__all__ = ["MAX_ELEMENTS", "MAX_JSON_ELEMENTS", "DecodeError", "TooManyElements", "count_json", "count_protobuf"]
