"""A target that replays answers from a file: JSONL of {"input": {...}, "output": ..., "context": ...} objects.

A report of the gate or a record of an experiment is such a file too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ...errors import UsageError
from ...queries.text_file import read_bytes
from ..datasets.records import decode_json, read_records


def recorded_answers(path: str) -> Callable[[dict[str, Any]], Any]:
    """A callable that looks each input up. Raises UsageError when the file is missing or holds no answers."""
    answers = {_key(item["input"]): item for item in _items(Path(path))}

    def replay(example_input: dict[str, Any]) -> Any:
        try:
            found = answers[_key(example_input)]
        except KeyError:
            raise LookupError(f"{path} holds no answer for this input") from None
        return {key: value for key, value in found.items() if key != "input"}

    return replay


def _items(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".json":
        document = decode_json(read_bytes(path), str(path))
        results = document.get("results", []) if isinstance(document, dict) else document
        items = [_from_result(result) for result in results if isinstance(results, list)]
    else:
        items = [record.values for record in read_records(path)]
    good = [item for item in items if isinstance(item, dict) and isinstance(item.get("input"), dict)]
    if not good or len(good) != len(items):
        raise UsageError(
            f"{path}: {len(items) - len(good)} of {len(items)} records have no input object",
            hint='each record is {"input": {...}, "output": "..."}',
        )
    return good


def _from_result(result: Any) -> Any:
    if isinstance(result, dict) and "model_output" in result:
        return {"input": result.get("input"), "output": result["model_output"], "context": result.get("context")}
    return result


def _key(example_input: dict[str, Any]) -> bytes:
    return msgspec.json.encode(example_input, order="sorted")
