"""The one reader of the files that people bring: JSONL, JSON arrays where asked for, CSV in any dialect, Excel, Parquet.

Every record knows its place (file, line, and column where one is to blame), so that an error names it. What is not
surely understood is refused: UTF-16, a key that occurs twice, a row with more cells than the header.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ...errors import UsageError, or_did_you_mean
from ...queries.text_file import read_bytes
from .record_file import Record

MAX_NESTING = 500
ONE_A_LINE = "one JSON object a line, in UTF-8"
TABLES = (".csv", ".tsv", ".xlsx", ".parquet")


def read_records(path: Path, columns: Mapping[str, str] | None = None) -> list[Record]:
    """All records of a .csv, .tsv, .xlsx or .parquet table, else of a JSONL file.

    `columns` maps fields to the table's column names (`{"input.question": "Question"}`); a field with dots becomes
    objects. Raises UsageError naming the file, the line and the column.
    """
    if is_table(path):
        from .tables import read_table

        found = list(read_table(path))
    else:
        found = list(_lines(path, read_bytes(path)))
    columns = columns or {}
    known = list(dict.fromkeys(name for record in found for name in record.values))
    missing = [column for column in columns.values() if column not in known]
    if missing and found:
        raise UsageError(
            f"{path}: there is no column {missing[0]!r}{or_did_you_mean(missing[0], known)}",
            hint=f"the columns are {', '.join(known)}",
        )
    return [Record(one.place, _mapped(one, columns)) for one in found]


def is_table(path: Path) -> bool:
    """Whether the file's name says that it is a table, whose cells may be texts where numbers or objects are meant."""
    return path.suffix.lower() in TABLES


def decode_json(content: bytes, place: str) -> Any:
    """The JSON value, of which every key occurs once. Raises UsageError naming the place."""
    try:
        value = msgspec.json.decode(content)
        _refuse_repeated_keys(content)
    except RecursionError as error:
        raise UsageError(f"{place} is nested too deeply", hint=f"at most {MAX_NESTING} levels") from error
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise UsageError(f"{place} is not JSON: {error}", hint=ONE_A_LINE) from error
    return value


def split_lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty with their numbers; LF, CRLF and CR end a line, U+2028 is text."""
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            yield number, line


def set_field(record: dict[str, Any], field: str, value: Any) -> None:
    """Puts the value under a field with dots: `input.question` becomes {"input": {"question": ...}}."""
    *outer, last = field.split(".")
    inner = record
    for name in outer:
        there = inner.setdefault(name, {})
        if not isinstance(there, dict):
            raise UsageError(f"{field} lies inside {name}, which has a value of its own", hint="map one of the two")
        inner = there
    inner[last] = value


def parse_columns(given: tuple[str, ...]) -> dict[str, str]:
    """`FIELD=COLUMN` options as a mapping. Raises UsageError for one of another form, or a field named twice."""
    columns: dict[str, str] = {}
    for text in given:
        field, equals, column = text.partition("=")
        field, column = field.strip(), column.strip()
        if not equals or not field or not column:
            raise UsageError(f"--map {text!r} is not FIELD=COLUMN", hint="for example --map input.question=Question")
        if field in columns:
            raise UsageError(f"--map names the field {field!r} twice", hint="give each field one column")
        columns[field] = column
    return columns


def _lines(path: Path, content: bytes) -> Iterator[Record]:
    for number, line in split_lines(content):
        place = f"{path}:{number}"
        value = decode_json(line, place)
        if not isinstance(value, dict):
            kind = "an array" if isinstance(value, list) else type(value).__name__
            raise UsageError(f"{place} is not a JSON object, but {kind}", hint=ONE_A_LINE)
        yield Record(place, value)


def _mapped(record: Record, columns: Mapping[str, str]) -> dict[str, Any]:
    """The values under the names of the fields; columns that are mapped lose their own name, empty cells are left out."""
    if not columns:
        return record.values
    taken = set(columns.values())
    made: dict[str, Any] = {}
    named = [(name, name) for name in record.values if name not in taken] + list(columns.items())
    for field, column in named:
        value = record.values.get(column)
        if value is not None:
            set_field(made, field, value)
    return made


def _refuse_repeated_keys(content: bytes) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in pairs}) < len(pairs):
            names = [key for key, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"the key {twice!r} occurs twice")

    json.loads(content, object_pairs_hook=unique)
