"""What changed between two versions of a dataset: files, or a file as it is in a git revision."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import msgspec

from ...errors import DatasetError
from .dataset import Dataset
from .example import Example

FIELDS = ("partition", "input", "expected_output", "metadata", "tags")


class Difference(msgspec.Struct, frozen=True):
    """Example ids by what happened to them; for changed ones which fields."""

    added: list[str]
    removed: list[str]
    changed: dict[str, list[str]]

    @property
    def empty(self) -> bool:
        """Whether nothing changed."""
        return not (self.added or self.removed or self.changed)


def difference(old: Dataset, new: Dataset) -> Difference:
    """From old to new, in the new one's order."""
    return Difference(
        added=[one.id for one in new if one.id not in old],
        removed=[one.id for one in old if one.id not in new],
        changed={
            one.id: _fields(old[one.id], one)
            for one in new
            if one.id in old and (old[one.id].content_hash != one.content_hash or old[one.id].metadata != one.metadata)
        },
    )


def load_version(name: str) -> Dataset:
    """A dataset file, or REVISION:FILE from git. Raises DatasetError."""
    revision, colon, file = name.rpartition(":")
    if not colon or Path(name).exists():
        return Dataset.load(name)
    shown = subprocess.run(  # noqa: S603
        ["git", "show", f"{revision}:./{file}"],  # noqa: S607
        capture_output=True,
        check=False,
    )
    if shown.returncode:
        said = shown.stderr.decode(errors="replace").strip().splitlines()
        raise DatasetError(
            f"git has no {name}: {said[0] if said else ''}", hint="REVISION:FILE, as in HEAD~1:golden.jsonl"
        )
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / Path(file).name
        copy.write_bytes(shown.stdout)
        return Dataset.load(copy)


def _fields(old: Example, new: Example) -> list[str]:
    return [field for field in FIELDS if getattr(old, field) != getattr(new, field)]
