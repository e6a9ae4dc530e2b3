"""Reads and writes dataset files: JSONL line by line with the place of every error, JSON whole, always atomically."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from ...errors import DatasetError
from .example import Example


def read_examples(path: Path) -> tuple[list[Example], dict[str, str]]:
    """The examples of a .jsonl or .json file, and the name and task type that a .json file states.

    Raises DatasetError naming the file, the line and the fix.
    """
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")  # a byte order mark, from some editors
    except FileNotFoundError as error:
        raise DatasetError(f"there is no dataset file {path}", hint="`evalspan dataset new` makes one") from error
    except OSError as error:
        raise DatasetError(f"cannot read the dataset file {path}: {error.strerror}", hint="check the path") from error
    if path.suffix == ".json":
        return _read_whole(path, content)
    return _read_lines(path, content), {}


def _read_lines(path: Path, content: bytes) -> list[Example]:
    places = ((f"{path}:{number}", line) for number, line in enumerate(content.splitlines(), 1) if line.strip())
    return _unique((place, _build(_decode(line, place), place)) for place, line in places)


def _read_whole(path: Path, content: bytes) -> tuple[list[Example], dict[str, str]]:
    document = _decode(content, str(path))
    if not isinstance(document, dict) or not isinstance(document.get("examples"), list):
        raise DatasetError(
            f"{path} holds no examples", hint='write {"name": ..., "task_type": ..., "examples": [...]}, or use .jsonl'
        )
    places = ((f"{path}, example {number}", item) for number, item in enumerate(document["examples"], 1))
    examples = _unique((place, _build(item, place)) for place, item in places)
    return examples, {key: str(document[key]) for key in ("name", "task_type") if document.get(key)}


def _unique(placed: Iterable[tuple[str, Example]]) -> list[Example]:
    first: dict[str, str] = {}
    examples = []
    for place, example in placed:
        if example.id in first:
            raise DatasetError(
                f"{place}: the id {example.id!r} is taken by {first[example.id]}",
                hint="ids must be unique: rename one",
            )
        first[example.id] = place
        examples.append(example)
    return examples


def _decode(content: bytes, place: str) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f"{place}: not JSON: {error}", hint="one JSON object a line, in UTF-8") from error


def _build(item: object, place: str) -> Example:
    try:
        return Example.from_json(item)
    except DatasetError as error:
        raise DatasetError(f"{place}: {error}", hint=error.hint) from error
