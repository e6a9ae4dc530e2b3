"""Rows on their way in: checked against the table's columns and written as JSONEachRow, the same locally and over HTTP."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from ...errors import UsageError, did_you_mean

_encoder = msgspec.json.Encoder(enc_hook=str)


class Columns(msgspec.Struct, frozen=True):
    """A table's columns and their ClickHouse types."""

    table: str
    types: dict[str, str]

    @staticmethod
    def by_table(rows: Iterable[Sequence[Any]]) -> dict[str, Columns]:
        """From (table, column, type) rows."""
        tables: dict[str, dict[str, str]] = {}
        for table, name, kind in rows:
            tables.setdefault(table, {})[name] = kind
        return {table: Columns(table, types) for table, types in tables.items()}

    @staticmethod
    def of(table: str, known: Mapping[str, Columns]) -> Columns:
        """The table's columns. Raises UsageError for a table that is not there."""
        if table not in known:
            raise UsageError(f"There is no table {table!r}.", hint=did_you_mean(table, known))
        return known[table]


def encode_rows(table: str, rows: Sequence[Mapping[str, Any]], columns: Columns) -> bytes:
    """
    One JSON object a line.

    Raises:
        UsageError: a column does not exist, or a number is NaN or infinite; names table, row and column.
    """
    lines = []
    for number, row in enumerate(rows):
        line = {}
        for name, value in row.items():
            if name not in columns.types:
                raise UsageError(f"{table} has no column {name!r}.", hint=did_you_mean(name, columns.types))
            line[name] = _plain(value, columns.types[name], f"{table}, row {number}, column {name}")
        lines.append(_encoder.encode(line))
    return b"\n".join(lines) + b"\n"


def _plain(value: Any, kind: str, where: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{where}: {value} is not a number that can be stored.", hint="Leave it out, or write None.")
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, (dict, list, tuple)):
        if "String" in kind and not kind.startswith(("Map", "Array")):
            return msgspec.json.encode(value, enc_hook=str).decode()
        if isinstance(value, dict):
            return (
                {str(key): _plain(item, kind, where) for key, item in value.items()}
                if kind.startswith("Map")
                else value
            )
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        return _plain(value.item(), kind, where)  # numpy's own numbers
    return value


def _utc(value: datetime) -> str:
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
