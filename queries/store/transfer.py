"""Rows out of a store and into another one, an hour of a table at a time: what backup, restore, copy and export share."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import msgspec

from ...errors import StoreError
from ..literals import literal
from ..untrusted.sql_gate import Limits
from .config import DATABASE

if TYPE_CHECKING:
    from .client import Store
    from .protocol import StoreClient

# Scores come before the spans they speak of: what is copied later can only have more spans, never fewer.
_FIRST = ("evaluations", "examples", "experiments", "experiment_results")
# table -> what its rows are divided by; a table that is not here is small, and goes in one piece.
_DIVIDED_BY = {"spans": "toStartOfHour(start_time)", "evaluations": "toStartOfHour(span_time)"}
# Made anew by the migrations of the store that rows go into.
_NOT_CARRIED = ("migrations",)
PATIENT = Limits(time_s=3600, memory_bytes=4 << 30, result_rows=1 << 40, result_bytes=1 << 40)


class Table(msgspec.Struct, frozen=True):
    """A table that holds rows, and the columns that an insert may name."""

    name: str
    columns: tuple[str, ...]

    @property
    def column_list(self) -> str:
        """As SQL."""
        return ", ".join(f"`{column}`" for column in self.columns)


def tables(store: StoreClient) -> list[Table]:
    """The store's tables with rows, in the order in which they are copied. Raises QueryError, StoreUnreachable."""
    found = store.query(
        "SELECT table, groupArray(name) FROM (SELECT table, name, position FROM system.columns"
        " WHERE database = {database:String} AND default_kind NOT IN ('MATERIALIZED', 'ALIAS') AND table IN"
        " (SELECT name FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree'"
        " AND NOT endsWith(name, '_local') OR database = {database:String} AND engine = 'Distributed')"
        " ORDER BY table, position) GROUP BY table ORDER BY table",
        {"database": store.location.database or DATABASE},
    )
    known = [Table(name, tuple(columns)) for name, columns in found.rows if name not in _NOT_CARRIED]
    return sorted(known, key=lambda one: (one.name == "spans", one.name not in _FIRST, one.name))


def pieces(store: StoreClient, table: Table) -> list[tuple[str, int]]:
    """The pieces of a table and the rows of each, oldest first; the name of an undivided one is empty."""
    by = _DIVIDED_BY.get(table.name)
    if by is None:
        rows = store.query(f"SELECT count() FROM {table.name}").rows[0][0]  # noqa: S608 - own names
        return [("", rows)] if rows else []
    found = store.query(
        f"SELECT toString({by}) AS piece, count() FROM {table.name} GROUP BY piece ORDER BY piece"  # noqa: S608
    )
    return [(piece, rows) for piece, rows in found.rows]


def read_piece(store: StoreClient, table: Table, piece: str) -> Generator[bytes]:
    """The rows of one piece in the Native format, as they come, each row once. Close it if it is not read to its end."""
    by = _DIVIDED_BY.get(table.name)
    within = f"toString({by}) = {literal(piece)}" if by and piece else "1"
    yield from store.stream_untrusted(
        f"SELECT {table.column_list} FROM {table.name} WHERE {within} FORMAT Native",  # noqa: S608
        limits=PATIENT,
    )


def copy_rows(source: StoreClient, target: Store) -> Iterator[tuple[str, int]]:
    """Copies every table; yields its name and the rows that were read, a piece at a time.

    Tables of the target merge rows with the same key, so a copy that was cut short may run again.

    Raises:
        StoreError: the target lacks a table, so it is of an older version.
    """
    there = {one.name: one for one in tables(target)}
    for table in tables(source):
        if table.name not in there:
            raise StoreError(f"The target has no table {table.name}.", hint="Bring it up to date: evalspan migrate.")
        for piece, rows in pieces(source, table):
            carried = Table(table.name, tuple(one for one in table.columns if one in there[table.name].columns))
            target.insert_native(carried.name, carried.columns, b"".join(read_piece(source, carried, piece)))
            yield table.name, rows
