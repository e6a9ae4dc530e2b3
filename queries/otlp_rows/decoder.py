"""A segment of OTLP records as one block of rows of `spans`, and the records that are left to the decoder's views.

It makes the rows that the views of schema/051 and 073 make; tests/queries/test_otlp_rows.py compares the two.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from google.protobuf.message import DecodeError

from .messages import Request
from .native import block
from .prices import Prices
from .rows import Rows
from .shapes import Shape
from .values import Attribute, Unusual

_MAX_REMEMBERED, _MAX_SHAPES = 65_536, 4_096
_LAST_OF_NUMBER, _MAX_SHIFT = 127, 28


class Decoded(NamedTuple):
    """What is inserted because of a segment."""

    pieces: list[bytes]
    """The block in the Native format; empty when there are no rows."""
    columns: tuple[str, ...]
    prompts: frozenset[tuple[str, str]]
    """Project and service of the spans that have instructions."""
    rest: bytes
    """The records that are left to the views."""


class Decoder:
    """Reads segments; what attributes mean is remembered from one to the next."""

    def __init__(self) -> None:
        self._known: dict[bytes, Attribute] = {}
        self._shapes: dict[tuple[bytes, ...], Shape] = {}

    def decode(self, segment: bytes, prices: Prices) -> Decoded:
        """The rows of a segment. Raises Unusual when it is no sequence of records."""
        rows = Rows(prices, self._known, self._shapes)
        rest = []
        for record, whole in _records(segment):
            try:
                rows.add(Request.FromString(record))
            except (Unusual, DecodeError, UnicodeDecodeError, OverflowError):
                rest.append(whole)
            time.sleep(0)  # whoever receives requests in another thread must not wait for a whole segment
            if len(self._known) > _MAX_REMEMBERED:
                self._known.clear()
            if len(self._shapes) > _MAX_SHAPES:
                self._shapes.clear()
        columns = rows.columns() if rows.count else []
        return Decoded(
            block(rows.count, columns) if columns else [],
            tuple(column.name for column in columns),
            frozenset(rows.prompts),
            b"".join(rest),
        )


def _records(segment: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each record, without and with its length before it. Raises Unusual."""
    at = 0
    while at < len(segment):
        begun, size, shift, byte = at, 0, 0, 255
        while byte > _LAST_OF_NUMBER:
            if at >= len(segment) or shift > _MAX_SHIFT:
                raise Unusual("the segment is cut off")
            byte = segment[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
        if at + size > len(segment):
            raise Unusual("the segment is cut off")
        yield segment[at : at + size], segment[begun : at + size]
        at += size
