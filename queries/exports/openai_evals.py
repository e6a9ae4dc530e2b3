"""Cases as OpenAI evals samples: JSONL with `input` and `ideal`, and the registry file that names them.

A case without an expected output gets an empty list of ideals, which nothing matches, until somebody writes one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..atomic_write import jsonl, write_atomically
from .messages import conversation


def write(path: Path, cases: Sequence[dict[str, Any]]) -> list[Path]:
    """Writes the samples and, beside them, the registry's YAML."""
    samples = [
        {"input": conversation(case["input"]), "ideal": case["expected_output"] or [], "id": case["id"]}
        for case in cases
    ]
    write_atomically(path, jsonl(samples))
    name = _json(path.stem)
    versioned = _json(f"{path.stem}.regression.v1")
    registry = path.with_suffix(".yaml")
    lines = (
        f"{name}:\n  id: {versioned}\n  metrics: [accuracy]\n"
        f"{versioned}:\n  class: evals.elsuite.basic.fuzzy_match:FuzzyMatch\n"
        f"  args:\n    samples_jsonl: {_json(str(path.resolve()))}\n"
    )
    write_atomically(registry, lines.encode())
    return [path, registry]


def _json(text: str) -> str:
    """The text as YAML reads it, whatever stands in it."""
    return msgspec.json.encode(text).decode()
