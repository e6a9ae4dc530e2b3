"""Segments of OTLP records into `spans`: the embedded store gets rows in columns, a server decodes them by its views.

Planning the views costs the embedded engine more than the rows of most segments, about as much as 4,000 spans of 3 KB in
columns; a large segment is theirs, and so is what is odd in a record.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..otlp_rows.decoder import Decoded, Decoder
from ..otlp_rows.prices import Prices
from ..otlp_rows.values import Unusual
from .otlp_settings import otlp_settings, rows_settings
from .staging import insert_native_pieces, insert_through_file

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

VIEWS_FROM_BYTES = 12 * 1024 * 1024
"""The length from which a segment is decoded by the views: they take their time off Python's lock, too, so that a
collector under load receives half as much again (benchmarks.ingest, 512 spans a body over one connection)."""
_FINGERPRINT = "leftPad(lower(hex(sipHash64({text}))), 16, '0')"
# As in the view otlp_to_spans (schema/075): without what is filled in between fixed pieces.
_WITHOUT_SLOTS = r"""
WITH
    (
        SELECT mapFromArrays(groupArray(key), groupArray(slots))
        FROM (SELECT concat(project, '\0', service) AS key, groupArray((before, after)) AS slots FROM prompt_slots FINAL GROUP BY key)
    ) AS known_slots,
    known_slots[concat(project, '\0', service)] AS own_slots,
    extractAll(if(empty(own_slots), '', instructions), '[^\n.!?:。！？；：]*[\n.!?:。！？；：]+|[^\n.!?:。！？；：]+') AS pieces,
    arrayFold((kept, slot) -> if(
        (slot.1 = 0 OR has(kept.2, slot.1)) AND (slot.2 = 0 OR has(arraySlice(kept.2, indexOf(kept.2, slot.1) + 1), slot.2)),
        (arrayConcat(arraySlice(kept.1, 1, indexOf(kept.2, slot.1)), ['\0'], if(slot.2 = 0, [], arraySlice(kept.1, indexOf(kept.2, slot.1) + indexOf(arraySlice(kept.2, indexOf(kept.2, slot.1) + 1), slot.2)))),
            arrayConcat(arraySlice(kept.2, 1, indexOf(kept.2, slot.1)), [toUInt64(1)], if(slot.2 = 0, [], arraySlice(kept.2, indexOf(kept.2, slot.1) + indexOf(arraySlice(kept.2, indexOf(kept.2, slot.1) + 1), slot.2))))),
        kept), own_slots, (pieces, arrayMap(p -> sipHash64(p), pieces))).1 AS fixed_pieces
"""
_ANY = "instructions"
_FIXED = "if(empty(own_slots), instructions, arrayStringConcat(fixed_pieces))"
_SERVICES_WITH_SLOTS = "SELECT DISTINCT project, service FROM prompt_slots"


class OtlpInsert:
    """The way of segments into a store; not to be used by two threads at once."""

    def __init__(self, folder: Path | None) -> None:
        self._folder, self._decoder = folder, Decoder()
        """`folder` is the embedded store's directory, None for a server."""

    def insert(self, client: Client, segment: bytes, token: str) -> None:
        """Inserts a segment once for its token. Raises what the client raises."""
        if self._folder is None:
            settings = otlp_settings(token, embedded=False)
            client.raw_insert("otlp_in", insert_block=segment, fmt="Protobuf", settings=settings)
            return
        if len(segment) >= VIEWS_FROM_BYTES:
            self._insert_records(client, self._folder, segment, token)
            return
        try:
            decoded = self._decoder.decode(segment, Prices(lambda sql: client.query(sql).result_rows))
        except Unusual:
            decoded = Decoded([], (), frozenset(), segment)
        # First what may be refused: then nothing of the segment is stored.
        if decoded.rest:
            self._insert_records(client, self._folder, decoded.rest, f"{token}-rest" if decoded.pieces else token)
        if decoded.pieces:
            self._insert_rows(client, self._folder, decoded, token)

    @staticmethod
    def _insert_records(client: Client, folder: Path, records: bytes, token: str) -> None:
        insert_through_file(client, folder, "otlp_in", records, "Protobuf", otlp_settings(token, embedded=True))

    def _insert_rows(self, client: Client, folder: Path, decoded: Decoded, token: str) -> None:
        columns = [f"`{name}`" for name in decoded.columns if name != "instructions"]
        chosen, with_slots = list(columns), ""
        if len(columns) < len(decoded.columns):
            has_slots = not decoded.prompts.isdisjoint(map(tuple, client.query(_SERVICES_WITH_SLOTS).result_rows))
            with_slots = _WITHOUT_SLOTS if has_slots else ""
            fingerprint = _FINGERPRINT.format(text=_FIXED if has_slots else _ANY)
            columns.append("system_hash")
            chosen.append(f"if(instructions = '', '', {fingerprint})")
        statement = f"INSERT INTO spans ({', '.join(columns)}) {with_slots} SELECT {', '.join(chosen)} FROM {{rows}}"  # noqa: S608 - own names
        insert_native_pieces(client, folder, statement, decoded.pieces, rows_settings(token))
