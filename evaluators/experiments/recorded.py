"""A target that replays answers from a file: JSONL of {"input": {...}, "output": ..., "context": ...} objects.

A report of the gate or a record of an experiment is such a file too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ...errors import UsageError


def recorded_answers(path: str) -> Callable[[dict[str, Any]], Any]:
    """A callable that looks each input up. Raises UsageError when the file is missing or holds no answers."""
    place = Path(path)
    try:
        content = place.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the recorded answers {path}: {error.strerror}", hint="check the path") from error
    answers = {_key(item["input"]): item for item in _items(content, path)}

    def replay(example_input: dict[str, Any]) -> Any:
        try:
            found = answers[_key(example_input)]
        except KeyError:
            raise LookupError(f"{path} holds no answer for this input") from None
        return {key: value for key, value in found.items() if key != "input"}

    return replay


def _items(content: bytes, path: str) -> list[dict[str, Any]]:
    try:
        if path.endswith(".jsonl"):
            items = [msgspec.json.decode(line) for line in content.splitlines() if line.strip()]
        else:
            document = msgspec.json.decode(content)
            results = document.get("results", []) if isinstance(document, dict) else document
            items = [_from_result(result) for result in results]
    except msgspec.DecodeError as error:
        raise UsageError(f"{path} is not JSON: {error}", hint="write one JSON object a line") from error
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
