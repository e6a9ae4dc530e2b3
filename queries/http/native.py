"""The Native format at a client's own protocol revision; chDB writes it at revision 0, and Go clients cannot ask for that.

From revision 51903 on each block begins with eight bytes about itself, and from 54454 on each column says after its type
whether it is serialised in a special way. To know where a column ends, its data is walked through but not decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from ...errors import QueryError

WITH_BLOCK_INFO, WITH_CUSTOM_SERIALIZATION = 51903, 54454
NOT_IMPLEMENTED = 48

_BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"  # no overflow rows, no bucket
_NOT_CUSTOM = b"\x00"
_WIDTHS = {
    "Bool": 1, "Nothing": 1, "Enum8": 1, "Enum16": 2, "Date": 2, "BFloat16": 2, "Date32": 4, "DateTime": 4, "Time": 4,
    "IPv4": 4, "DateTime64": 8, "Time64": 8, "UUID": 16, "IPv6": 16,
    "Decimal32": 4, "Decimal64": 8, "Decimal128": 16, "Decimal256": 32,
}  # fmt: skip
_ALIASES = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "Polygon": "Array(Ring)",
    "MultiLineString": "Array(LineString)",
    "MultiPolygon": "Array(Polygon)",
}
_NUMBER = re.compile(r"(?:U?Int|Float)(\d+)")
_FIELD = re.compile(r"(?:\w+|`[^`]*`) (?=[A-Z])")


def at_revision(blocks: bytes, revision: int, *, single: bool) -> bytes:
    """
    Whole blocks of revision 0, or a `single` one, as a client of `revision` reads them.

    Raises:
        QueryError: a column's type cannot be walked through.
    """
    if revision < WITH_BLOCK_INFO:
        return blocks
    if single and revision < WITH_CUSTOM_SERIALIZATION:
        return _BLOCK_INFO + blocks
    walk, parts = _Walk(blocks), []
    while walk.at < len(blocks):
        parts.append(_BLOCK_INFO)
        begin = walk.at
        columns, rows = walk.number(), walk.number()
        for _ in range(columns):
            walk.text()
            kind = walk.text()
            if revision >= WITH_CUSTOM_SERIALIZATION:
                parts += (blocks[begin : walk.at], _NOT_CUSTOM)
                begin = walk.at
            if rows:
                walk.prefix(kind)
                walk.column(kind, rows)
        parts.append(blocks[begin : walk.at])
    return b"".join(parts)


class _Walk:
    """A place in the blocks, and the steps over what lies there."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def text(self) -> str:
        length = self.number()
        self.at += length
        return self.data[self.at - length : self.at].decode()

    def prefix(self, kind: str) -> None:
        """Over what stands before a column's data: the version of each dictionary in it."""
        name, _, inner = _parsed(kind)
        if name == "LowCardinality":
            self.at += 8
            return
        for each in inner:
            self.prefix(each)

    def column(self, kind: str, rows: int) -> None:
        """Over the data of so many rows."""
        if rows == 0:
            return
        name, kind, inner = _parsed(kind)
        if name == "String":
            self._strings(rows)
        elif name == "Nullable":
            self.at += rows
            self.column(inner[0], rows)
        elif name in ("Array", "Map"):
            self.at += 8 * rows
            elements = self._uint64(self.at - 8)
            for each in inner:
                self.column(each, elements)
        elif name == "Tuple":
            for each in inner:
                self.column(each, rows)
        elif name == "LowCardinality":
            self._dictionary(inner[0])
        else:
            self.at += _width(kind, name) * rows

    def _strings(self, rows: int) -> None:
        data, at = self.data, self.at
        for _ in range(rows):
            length = data[at]
            if length < 0x80:
                at += 1 + length
            else:
                self.at = at
                length = self.number()
                at = self.at + length
        self.at = at

    def _dictionary(self, kind: str) -> None:
        flags, keys = self._uint64(self.at), self._uint64(self.at + 8)
        self.at += 16
        self.column(kind[9:-1] if kind.startswith("Nullable(") else kind, keys)
        rows = self._uint64(self.at)
        self.at += 8 + (rows << (flags & 0xFF))

    def _uint64(self, at: int) -> int:
        return int.from_bytes(self.data[at : at + 8], "little")


@lru_cache(1024)
def _parsed(kind: str) -> tuple[str, str, tuple[str, ...]]:
    """The name of a type, the whole type, and the types that it holds."""
    kind = _ALIASES.get(kind, kind)
    name, _, rest = kind.partition("(")
    if name not in ("Array", "Nullable", "LowCardinality", "Tuple", "Map", "Nested", "SimpleAggregateFunction"):
        return name, kind, ()
    inner = tuple(_arguments(rest[:-1]))
    if name == "SimpleAggregateFunction":
        return _parsed(inner[-1])
    if name in ("Tuple", "Nested"):
        inner = tuple(each[found.end() :] if (found := _FIELD.match(each)) else each for each in inner)
    return ("Array" if name == "Nested" else name), kind, inner


def _arguments(text: str) -> Iterator[str]:
    depth, begin, quote = 0, 0, ""
    for at, character in enumerate(text):
        if quote:
            quote = "" if character == quote and text[at - 1] != "\\" else quote
        elif character in "'`":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "," and depth == 0:
            yield text[begin:at].strip()
            begin = at + 1
    if text[begin:].strip():
        yield text[begin:].strip()


def _width(kind: str, name: str) -> int:
    if number := _NUMBER.fullmatch(name):
        return int(number.group(1)) // 8
    if name in _WIDTHS:
        return _WIDTHS[name]
    if name == "FixedString":
        return int(kind[12:-1])
    if name == "Decimal":
        precision = int(kind[8:].partition(",")[0])
        return next(width for digits, width in ((9, 4), (18, 8), (38, 16), (76, 32)) if precision <= digits)
    if name.startswith("Interval"):
        return 8
    raise QueryError(
        f"A column of type {kind} cannot be sent to a client of this protocol revision.",
        hint="Select toString() of it, or another FORMAT.",
        code=NOT_IMPLEMENTED,
    )
