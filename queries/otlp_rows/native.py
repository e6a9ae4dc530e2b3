"""Columns of a block in ClickHouse's Native format, and the parts that they are made of."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from ..protobuf_types import varint
from .values import EMPTY, native


class Column(NamedTuple):
    """A column's name, its type as the block says it, and its data in pieces."""

    name: str
    kind: str
    pieces: Iterable[bytes]


def offsets(sizes: Iterable[int]) -> bytes:
    """Where each array ends, by their sizes."""
    return array("Q", accumulate(sizes)).tobytes()


def sparse_texts(name: str, rows: int, found: Mapping[int, bytes]) -> Column:
    """A column of Native strings, empty but for the rows that were found."""
    values = [EMPTY] * rows
    for row, text in found.items():
        values[row] = text
    return Column(name, "String", (b"".join(values),))


def sparse_numbers(name: str, kind: str, code: str, rows: int, found: Mapping[int, float]) -> Column:
    """A column of numbers, NULL but for the rows that were found; `code` is what `array` calls their type."""
    nulls = bytearray(b"\1") * rows
    data: Any = array(code, bytes(array(code).itemsize * rows))
    for row, value in found.items():
        nulls[row] = 0
        data[row] = value
    return Column(name, f"Nullable({kind})", (bytes(nulls), data.tobytes()))


def maps(name: str, sizes: Iterable[int], keys: Iterable[bytes], values: Iterable[bytes]) -> Column:
    """A column of maps from text to text: their sizes, then all keys and all values as Native strings."""
    return Column(name, "Map(String, String)", (offsets(sizes), b"".join(keys), b"".join(values)))


def block(rows: int, columns: Sequence[Column]) -> list[bytes]:
    """The encoded block in pieces."""
    pieces = [varint(len(columns)) + varint(rows)]
    for column in columns:
        pieces.append(native(column.name.encode()) + native(column.kind.encode()))
        pieces.extend(column.pieces)
    return pieces
