"""Writes cases in the formats of other tools; each takes the objects of a dataset file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

Case = dict[str, Any]
Writer = Callable[[Path, Sequence[Case]], list[Path]]

_WRITERS = {
    "parquet": "parquet",
    "huggingface": "huggingface",
    "promptfoo": "promptfoo",
    "inspect": "inspect_ai",
    "openai-evals": "openai_evals",
    "pytest": "pytest_file",
}


def write(format_: str, path: Path, cases: Sequence[Case]) -> list[Path]:
    """Writes the cases in a format other than our own and returns the files; what they replace is overwritten.

    Raises UsageError when the place cannot be one of this format or a needed package is missing.
    """
    writer: Writer = import_module(f".{_WRITERS[format_]}", __name__).write
    return writer(path, cases)
