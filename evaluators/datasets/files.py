"""Reads dataset files: JSONL and tables record by record with the place of every error, JSON whole."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ...errors import DatasetError, UsageError
from ...queries.text_file import read_bytes
from .example import Example
from .records import decode_json, is_table, read_records, set_field

OBJECTS = ("input", "metadata")


def read_examples(
    path: Path, columns: Mapping[str, str] | None = None, *, partition: str | None = None
) -> tuple[list[Example], dict[str, str]]:
    """The examples of a .jsonl, .json, .csv, .tsv, .xlsx or .parquet file, and the name and task type of a .json file.

    `columns` maps fields of an example to the file's own columns; `partition` is that of all examples. Raises
    DatasetError naming the file, the line and the fix.
    """
    if not path.exists():
        raise DatasetError(f"there is no dataset file {path}", hint="`evalspan dataset new` makes one")
    try:
        if path.suffix == ".json":
            return _read_whole(path)
        records = read_records(path, columns)
        made = [_of_table(one.values) if is_table(path) else one.values for one in records]
    except DatasetError:
        raise
    except UsageError as error:
        raise DatasetError(str(error), hint=error.hint) from error
    given = {"partition": partition} if partition else {}
    placed = (
        (one.place, as_example({**values, **given}, one.place)) for one, values in zip(records, made, strict=True)
    )
    return _unique(placed), {}


def _read_whole(path: Path) -> tuple[list[Example], dict[str, str]]:
    document = decode_json(read_bytes(path), str(path))
    if not isinstance(document, dict) or not isinstance(document.get("examples"), list):
        raise DatasetError(
            f"{path} holds no examples", hint='write {"name": ..., "task_type": ..., "examples": [...]}, or use .jsonl'
        )
    places = ((f"{path}, example {number}", item) for number, item in enumerate(document["examples"], 1))
    examples = _unique((place, as_example(item, place)) for place, item in places)
    return examples, {key: str(document[key]) for key in ("name", "task_type") if document.get(key)}


def _unique(placed: Iterable[tuple[str, Example]]) -> list[Example]:
    first: dict[str, str] = {}
    examples = []
    for place, example in placed:
        # Two spellings of one accented letter look the same to whoever reads a report.
        known_as = unicodedata.normalize("NFC", example.id)
        if known_as in first:
            raise DatasetError(
                f"{place}: the id {example.id!r} is taken by {first[known_as]}",
                hint="ids must be unique: rename one",
            )
        first[known_as] = place
        examples.append(example)
    return examples


def _of_table(values: dict[str, Any]) -> dict[str, Any]:
    """A row as an example: texts where texts are meant, objects out of their JSON, lists out of `a, b`."""
    made: dict[str, Any] = {}
    for name, value in values.items():
        if value is not None:
            set_field(made, name, value)
    for name in OBJECTS:
        text = made.get(name)
        if isinstance(text, str) and text.lstrip().startswith("{"):
            made[name] = decode_json(text.encode(), name)
    for name in ("id", "expected_output"):
        if name in made and not isinstance(made[name], str):
            made[name] = msgspec.json.encode(made[name]).decode()
    tags = made.get("tags")
    if isinstance(tags, str):
        listed = decode_json(tags.encode(), "tags") if tags.lstrip().startswith("[") else tags.split(",")
        made["tags"] = [str(tag).strip() for tag in listed if str(tag).strip()]
    if "id" not in made:
        content = msgspec.json.encode([made.get("input"), made.get("expected_output")], order="sorted")
        made["id"] = f"row-{hashlib.sha256(content).hexdigest()[:12]}"
    return made


def as_example(item: object, place: str) -> Example:
    """The example that a decoded JSON object is. Raises DatasetError with `place` in front."""
    if isinstance(item, Mapping) and isinstance(item.get("input"), str):
        raise DatasetError(
            f"{place}: example {item.get('id')!r}: input must be an object, not a text",
            hint='in JSONL write "input": {"question": "..."}; in a table, map the column: --map input.question=COLUMN',
        )
    try:
        return Example.from_json(item)
    except DatasetError as error:
        raise DatasetError(f"{place}: {error}", hint=error.hint) from error
