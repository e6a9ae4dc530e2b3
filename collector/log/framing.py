"""One record of the durable log: the client's OTLP bytes with project, receive time and checksum behind them.

A segment is records back to back, which is also ClickHouse's `Protobuf` input format: what was made durable is inserted
as it is, without decoding it in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from isal.isal_zlib import crc32

from ...queries.host.auth import MAX_PROJECT_BYTES
from ...queries.protobuf_types import varint

# Appended protobuf fields: concatenating protobuf messages merges them, so the client's bytes stay as they came, and a
# client that sends these fields itself is overruled by ours, which come last.
_PROJECT = b"\xc2\x3e"  # field 1000, length-delimited
_RECEIVED = b"\xc9\x3e"  # field 1001, fixed64: milliseconds since 1970
_CHECKSUM = b"\xd5\x3e"  # field 1002, fixed32: CRC-32 of all bytes of the record before it
_TAIL = 2 + 8 + 2 + 4
# How far behind damage a record is looked for whose beginning nothing marks.
_SEARCHED = 64 * 1024


class Record(NamedTuple):
    """One request of one client, as it was made durable."""

    body: bytes
    project: str
    received_ms: int


class Damage(NamedTuple):
    """Where a segment stops making sense, and why; `end` is where the next record begins, or the segment's end."""

    start: int
    end: int
    reason: str


def frame(body: bytes, project: str, received_ms: int) -> list[bytes]:
    """The pieces of one record, ready for a gathering write: length, client's bytes, appended fields."""
    name = project.encode()
    if not 0 < len(name) <= MAX_PROJECT_BYTES:
        raise ValueError(f"a project name has 1 to {MAX_PROJECT_BYTES} bytes, this one {len(name)}")
    appended = _PROJECT + varint(len(name)) + name + _RECEIVED + received_ms.to_bytes(8, "little")
    checksum = crc32(appended, crc32(body))
    appended += _CHECKSUM + checksum.to_bytes(4, "little")
    return [varint(len(body) + len(appended)), body, appended]


def records(segment: bytes) -> Iterator[Record]:
    """The records of a sound segment (see `damage`), in the order of arrival."""
    for start, end in _extents(segment):
        yield _split(segment[start:end])


def sound_records(segment: bytes) -> Iterator[Record]:
    """The records that are whole, whatever lies between them."""
    yield from records(without(segment, damage(segment)))


def damage(segment: bytes) -> list[Damage]:
    """Every stretch of the segment that is not a whole record with the right checksum; empty when it is sound."""
    found: list[Damage] = []
    position = 0
    while position < len(segment):
        extent = _extent(segment, position)
        if extent is not None and _sound(segment[slice(*extent)]):
            position = extent[1]
            continue
        # Where the record says that it ends, unless it is the length that is wrong.
        end = extent[1] if extent is not None and _begins_sound(segment, extent[1]) else _next_sound(segment, position)
        cut_off = extent is None and end == len(segment)
        found.append(Damage(position, end, "the record is cut off" if cut_off else "the checksum does not match"))
        position = end
    return found


def _next_sound(segment: bytes, position: int) -> int:
    """Where the next sound record begins, or the segment's end: a record ends six bytes behind its checksum's tag."""
    at = segment.find(_CHECKSUM, position)
    while at >= 0:
        begin = at + len(_CHECKSUM) + 4
        if _begins_sound(segment, begin):
            return _earliest(segment, position, begin)
        at = segment.find(_CHECKSUM, at + 1)
    return _earliest(segment, position, len(segment))


def _earliest(segment: bytes, position: int, end: int) -> int:
    """The first sound record behind `position`, where garbage stands before it; looked for byte by byte."""
    for begin in range(position + 1, min(end, position + _SEARCHED)):
        extent = _extent(segment, begin)
        if extent is not None and extent[1] <= end and _sound(segment[slice(*extent)]):
            return begin
    return end


def _begins_sound(segment: bytes, position: int) -> bool:
    """Whether a sound record begins there, or the segment ends."""
    extent = _extent(segment, position)
    return position == len(segment) or (extent is not None and _sound(segment[slice(*extent)]))


def without(segment: bytes, damaged: list[Damage]) -> bytes:
    """The segment with the damaged stretches taken out."""
    kept, position = [], 0
    for stretch in damaged:
        kept.append(segment[position : stretch.start])
        position = stretch.end
    return b"".join([*kept, segment[position:]])


def _extents(segment: bytes) -> Iterator[tuple[int, int]]:
    position = 0
    while position < len(segment):
        extent = _extent(segment, position)
        if extent is None:
            raise ValueError(f"the segment is cut off at byte {position}")
        yield extent
        position = extent[1]


def _extent(segment: bytes, position: int) -> tuple[int, int] | None:
    """Start and end of the record whose length stands at `position`; None when it does not fit."""
    length = shift = 0
    while position < len(segment) and shift < 35:
        byte = segment[position]
        position += 1
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            end = position + length
            return (position, end) if end <= len(segment) else None
    return None


def _sound(record: bytes) -> bool:
    if len(record) < _TAIL or record[-6:-4] != _CHECKSUM:
        return False
    return crc32(record[:-6]) == int.from_bytes(record[-4:], "little")


def _split(record: bytes) -> Record:
    received_ms = int.from_bytes(record[-14:-6], "little")
    # Project names are UTF-8, in which the two bytes of the tag (c2 3e) never follow each other: the last tag is ours.
    tag = record.rindex(_PROJECT, 0, len(record) - _TAIL)
    return Record(record[:tag], record[tag + 3 : len(record) - _TAIL].decode(), received_ms)
