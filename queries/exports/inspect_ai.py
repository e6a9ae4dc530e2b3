"""Cases as Inspect AI samples: JSONL for `json_dataset`, the input as chat messages.

A case without an expected output gets an empty list of targets, which nothing matches: an empty text is in every answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..atomic_write import jsonl, write_atomically
from .messages import conversation


def write(path: Path, cases: Sequence[dict[str, Any]]) -> list[Path]:
    """Writes one JSONL file."""
    samples = [
        {
            "id": case["id"],
            "input": conversation(case["input"]),
            "target": case["expected_output"] or [],
            "metadata": {
                **case["metadata"],
                "partition": case["partition"],
                "tags": case["tags"],
                "input": case["input"],
            },
        }
        for case in cases
    ]
    write_atomically(path, jsonl(samples))
    return [path]
