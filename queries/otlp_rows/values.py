"""Encoded attributes as ClickHouse's Native format has them: a protobuf string and a Native string are the same bytes.

What a value is as text is what the decoder's views make of it: numbers as JavaScript writes them, lists as JSON.
"""

from __future__ import annotations

import base64
import math
import re
from typing import NamedTuple

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from ..protobuf_types import varint

EMPTY = b"\0"
"""The empty text in the Native format."""

_KEY, _VALUE, _STRING = 0x0A, 0x12, 0x0A  # tags
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SLASHES = str.maketrans({"/": "\\/", "\u2028": "\\u2028", "\u2029": "\\u2029"})


class Unusual(Exception):
    """Something that is left to the views, which know every case or say what is wrong."""


class Attribute(NamedTuple):
    """One attribute; the texts are Native strings."""

    key: bytes
    text: bytes
    number: float | None
    """What it is as a number, where that is asked for."""


def native(text: bytes) -> bytes:
    """A Native string."""
    size = len(text)
    if size < 128:
        return bytes((size,)) + text
    return varint(size) + text


def plain(text: bytes) -> bytes:
    """The text of a Native string."""
    at = 0
    while text[at] > 127:
        at += 1
    return text[at + 1 :]


def attribute(raw: bytes, numbers: frozenset[bytes]) -> Attribute:
    """An encoded KeyValue. Raises Unusual."""
    key, text, value = _parts(raw)
    if value is not None:
        text = native(value_text(value))
    number = _number(text, value) if key in numbers else None
    return Attribute(native(key), text, number)


def _parts(raw: bytes) -> tuple[bytes, bytes, AnyValue | None]:
    """Key, and the value: as a Native string, or else as a message."""
    if len(raw) > 3 and raw[0] == _KEY and raw[1] < 128:
        end = raw[1] + 2
        if _is_plain_text(raw, end):
            return raw[2:end], raw[end + 4 :], None
        if end + 3 < len(raw) and raw[end] == _VALUE:
            size, at = _length(raw, end + 1)
            if at + size == len(raw) and raw[at] == _STRING:
                text_size, text_at = _length(raw, at + 1)
                if text_at + text_size == len(raw):
                    return raw[2:end], raw[at + 1 :], None
    try:
        pair = KeyValue.FromString(raw)
    except DecodeError as error:
        raise Unusual(str(error)) from error
    return pair.key.encode(), EMPTY, pair.value


def _is_plain_text(raw: bytes, at: int) -> bool:
    """Whether a text of 128 to 16,380 bytes, and nothing else, stands there: the most of what is not remembered."""
    rest = len(raw) - at
    if not 134 <= rest <= 16_386:
        return False
    tag, low, high, kind, inner_low, inner_high = raw[at : at + 6]
    return (
        tag == _VALUE
        and low > 127
        and (low & 127 | high << 7) == rest - 3
        and kind == _STRING
        and inner_low > 127
        and (inner_low & 127 | inner_high << 7) == rest - 6
    )


def _length(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(raw):
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise Unusual("a length that is cut off")


def value_text(value: AnyValue) -> bytes:
    """A value as text. Raises Unusual for what is nested deeper than one level."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value.encode()
    if kind == "int_value":
        return b"%d" % value.int_value
    if kind == "double_value":
        return double_text(value.double_value).encode()
    if kind == "bool_value":
        return b"true" if value.bool_value else b"false"
    if kind == "array_value":
        return f"[{','.join(map(_leaf, value.array_value.values))}]".encode()
    if kind == "kvlist_value":
        return (
            "{" + ",".join(f"{_json(one.key)}:{_leaf(one.value)}" for one in value.kvlist_value.values) + "}"
        ).encode()
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value)
    if kind is None:
        return b""
    raise Unusual(f"a value of kind {kind}")


def _leaf(value: AnyValue) -> str:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return _json(value.string_value)
    if kind == "int_value":
        return str(value.int_value)
    if kind == "double_value":
        return double_text(value.double_value) if math.isfinite(value.double_value) else "null"
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind == "bytes_value":
        return _json(base64.b64encode(value.bytes_value).decode())
    if kind is None:
        return "null"
    raise Unusual("a list or table inside a list or table")


def _json(text: str) -> str:
    return msgspec.json.encode(text).decode().translate(_SLASHES)


def double_text(number: float) -> str:
    """The shortest text of a number, as ClickHouse and JavaScript write it."""
    if not math.isfinite(number):
        return "nan" if math.isnan(number) else "inf" if number > 0 else "-inf"
    shortest = repr(number)
    sign, shortest = ("-", shortest[1:]) if shortest[0] == "-" else ("", shortest)
    mantissa, _, exponent = shortest.partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return sign + "0"
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))  # digits before the point
    digits = digits.rstrip("0")
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if 0 < point <= 21:
        padded = digits.ljust(point, "0")
        return sign + padded[:point] + (f".{padded[point:]}" if len(padded) > point else "")
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1}"


def _number(text: bytes, value: AnyValue | None) -> float | None:
    """What is endless or no number was not sent; some senders write numbers as text."""
    kind = value.WhichOneof("value") if value is not None else "string_value"
    if value is not None and kind == "int_value":
        return float(value.int_value)
    if value is not None and kind == "double_value":
        return value.double_value if math.isfinite(value.double_value) else None
    if kind != "string_value":
        return None
    found = plain(text).decode()
    if not _NUMBER.fullmatch(found):
        return None
    number = float(found)
    return number if math.isfinite(number) else None
