"""The manifest beside a dataset file: its name, the history of its versions and who approved which content."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ...errors import DatasetError


def now() -> str:
    """The time, in UTC, as the files spell it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Version(msgspec.Struct, frozen=True):
    """One saved state of the dataset."""

    version: int
    content_hash: str
    saved_at: str
    counts: dict[str, int] = {}


class Approval(msgspec.Struct, frozen=True):
    """One person vouches for the content of one partition; worth nothing once the content has another hash."""

    reviewer: str
    partition: str
    content_hash: str
    approved_at: str
    note: str = ""


class Manifest(msgspec.Struct):
    """What the JSONL lines cannot say themselves; kept in `<dataset>.meta.json`, for review in a pull request."""

    name: str
    task_type: str = ""
    content_hash: str = ""
    versions: list[Version] = []
    approvals: list[Approval] = []
    sampling: dict[str, Any] = {}
    """How a distribution partition was drawn: the SQL, the strata, the seed."""

    @property
    def version(self) -> int:
        """The number of the last saved version, 0 before the first."""
        return self.versions[-1].version if self.versions else 0

    def record(self, content_hash: str, counts: dict[str, int]) -> None:
        """Adds a version when the content is not that of the last one."""
        if self.content_hash != content_hash or not self.versions:
            self.versions.append(Version(self.version + 1, content_hash, now(), counts))
        self.content_hash = content_hash


def manifest_path(path: Path) -> Path:
    """Where the manifest of a dataset file stands: golden.jsonl -> golden.meta.json."""
    return path.with_suffix(".meta.json")


def read_manifest(path: Path) -> Manifest:
    """The manifest beside `path`, a new one when there is none. Raises DatasetError when it cannot be read."""
    place = manifest_path(path)
    if not place.exists():
        return Manifest(name=path.stem)
    try:
        return msgspec.json.decode(place.read_bytes(), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        raise DatasetError(
            f"{place} is not a dataset manifest: {error}",
            hint="restore it from version control; without it all approvals are void",
        ) from error
