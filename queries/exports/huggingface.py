"""Cases as a Hugging Face folder: data/<partition>.jsonl and a README.md whose front matter `load_dataset` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ...errors import UsageError
from ..atomic_write import jsonl, write_atomically
from ..untrusted_text import file_name
from .messages import conversation


def write(path: Path, cases: Sequence[dict[str, Any]]) -> list[Path]:
    """Writes the folder. Raises UsageError when the place is a file."""
    if path.is_file():
        raise UsageError(f"{path} is a file; a Hugging Face dataset is a folder", hint="--to FOLDER")
    files = []
    partitions = sorted({case["partition"] for case in cases})
    for partition in partitions:
        rows = [_row(case) for case in cases if case["partition"] == partition]
        file = path / "data" / f"{file_name(partition)}.jsonl"
        write_atomically(file, jsonl(rows))
        files.append(file)
    splits = [
        line
        for one in partitions
        for line in (f"  - split: {file_name(one)}", f"    path: data/{file_name(one)}.jsonl")
    ]
    front = ["---", "configs:", "- config_name: default", "  data_files:", *splits, "---"]
    readme = path / "README.md"
    write_atomically(readme, "\n".join([*front, "", f"# {path.name}", "", _about(cases), ""]).encode())
    return [readme, *files]


def _row(case: dict[str, Any]) -> dict[str, Any]:
    """Inputs and metadata differ from case to case, columns must not: they travel as JSON text."""
    return {
        "id": case["id"],
        "messages": conversation(case["input"]),
        "input": msgspec.json.encode(case["input"]).decode(),
        "expected_output": case["expected_output"] or "",
        "metadata": msgspec.json.encode(case["metadata"]).decode(),
        "tags": case["tags"],
        "created_at": case["created_at"],
    }


def _about(cases: Sequence[dict[str, Any]]) -> str:
    return (
        f"{len(cases)} regression cases from production failures, exported by evalspan. "
        "`input` and `metadata` are JSON; `metadata.source_trace_id` leads back to the trace."
    )
