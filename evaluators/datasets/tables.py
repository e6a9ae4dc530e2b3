"""Reads tables (CSV, TSV, Excel, Parquet) as records: a header of names, a place for every row, None for an empty cell."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...queries.plain_json import plain_json
from ...queries.text_file import read_bytes
from .record_file import Record

DELIMITERS = (",", ";", "\t", "|")
MAX_CELL = 64 * 1024 * 1024  # characters


def read_table(path: Path) -> Iterator[Record]:
    """The rows of the table, in order. Raises UsageError naming the row that does not fit the header."""
    readers = {".csv": _csv, ".tsv": _csv, ".xlsx": _excel, ".parquet": _parquet}
    yield from readers[path.suffix.lower()](path)


def _csv(path: Path) -> Iterator[Record]:
    text = read_bytes(path).decode()
    if "\x00" in text:
        raise UsageError(f"{path} holds NUL characters: it is no CSV", hint="save it as CSV in UTF-8")
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(text)
    csv.field_size_limit(MAX_CELL)
    # newline="": a line break inside quotes belongs to the cell.
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    if _SEPARATOR_LINE.match(text):
        next(rows)
    header: list[str] | None = None
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise UsageError(f"{path}:{line}: not CSV: {error}", hint="check the quotes of that row") from error
        if not any(cell.strip() for cell in row):
            continue
        if header is None:
            header = _header(row, f"{path}:{line}")
        else:
            yield _record(header, row, f"{path}:{line}")


_SEPARATOR_LINE = re.compile(r"sep=([,;|\t])\r?\n", re.IGNORECASE)
"""What Excel writes and reads as the first line of a CSV to say its delimiter."""


def _delimiter(text: str) -> str:
    """The delimiter that the header line holds most often outside quotes; the comma when it has one column."""
    told = _SEPARATOR_LINE.match(text)
    if told is not None:
        return told[1]
    header = _first_line(text)
    counts = {one: header.count(one) for one in DELIMITERS}
    best = max(DELIMITERS, key=lambda one: counts[one])
    return best if counts[best] else ","


def _first_line(text: str) -> str:
    """The first line that is not empty, without what stands in quotes."""
    found, quoted = [], False
    for character in text.lstrip("\r\n"):
        if character == '"':
            quoted = not quoted
        elif character in "\r\n" and not quoted:
            break
        elif not quoted:
            found.append(character)
    return "".join(found)


def _excel(path: Path) -> Iterator[Record]:
    try:
        import openpyxl
    except ModuleNotFoundError as error:
        raise UsageError(
            f"reading {path} needs openpyxl", hint="pip install 'evalspan[evaluators]', or save it as CSV or JSONL"
        ) from error
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:
        raise UsageError(
            f"{path} is not an Excel workbook: {error}", hint="save it as .xlsx again, or as CSV or JSONL"
        ) from error
    header: list[str] | None = None
    for number, cells in enumerate(book.worksheets[0].iter_rows(values_only=True), start=1):
        row = [_cell(value) for value in cells]
        if all(value in (None, "") for value in row):
            continue
        while row and row[-1] is None:
            row.pop()  # a sheet is as wide as its widest row
        if header is None:
            header = _header(["" if value is None else str(value) for value in row], f"{path}, row {number}")
        else:
            yield _record(header, [*row, *[None] * (len(header) - len(row))], f"{path}, row {number}")


def _parquet(path: Path) -> Iterator[Record]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise UsageError(
            f"reading {path} needs pyarrow", hint="pip install 'evalspan[parquet]', or save it as JSONL"
        ) from error
    try:
        table = parquet.ParquetFile(path)
        batches = table.iter_batches()
        number = 0
        for batch in batches:
            for row in batch.to_pylist():
                number += 1
                yield Record(f"{path}, row {number}", {name: plain_json(value) for name, value in row.items()})
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{path} is not a Parquet file: {error}", hint="write it again, or use JSONL") from error


def _header(row: Sequence[str], place: str) -> list[str]:
    names = [str(name).strip() for name in row]
    for number, name in enumerate(names, start=1):
        if not name:
            raise UsageError(f"{place}: column {number} has no name", hint="the first row names the columns")
        if names.index(name) != number - 1:
            raise UsageError(f"{place}: two columns are named {name!r}", hint="rename one of them")
    return names


def _record(header: list[str], row: Sequence[Any], place: str) -> Record:
    if len(row) != len(header):
        raise UsageError(
            f"{place}: {len(row)} cells, but the header names {len(header)} columns",
            hint="quote cells that hold the delimiter or a line break",
        )
    return Record(place, {name: None if value == "" else value for name, value in zip(header, row, strict=True)})


def _cell(value: Any) -> Any:
    """An Excel value as JSON data; whole numbers without the .0 that Excel stores them with."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return plain_json(value)
