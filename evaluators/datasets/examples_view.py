"""What the rules and the approvals of a dataset need of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from .example import Example
from .manifest import Manifest


class ExamplesView(Protocol):
    """A dataset as its rules see it."""

    manifest: Manifest
    path: Path | None

    @property
    def name(self) -> str:
        """The dataset's name."""

    @property
    def task_type(self) -> str:
        """What the examples ask for."""

    def partition(self, name: str) -> list[Example]:
        """The examples of one partition, in file order."""

    def partition_hash(self, name: str) -> str:
        """A hash of the partition's content."""

    def __iter__(self) -> Iterator[Example]: ...
