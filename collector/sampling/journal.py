"""What the tail sampler has decided, on disk before it is inserted, so that a restart neither loses a trace nor doubles one.

    TOKEN.otlp   the kept spans of a batch, as they are inserted under the deduplication token TOKEN
    TOKEN.json   which traces of which segments the batch decided; a batch is valid once this file is there

Both stay while the log still has one of those segments in any state: until then a restart reads the segment again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..log.segments import INSERTED, OPEN, SEALED, new_name, sync_directory

logger = logging.getLogger(__name__)

_STATES = (OPEN, SEALED, INSERTED)
Key = tuple[str, str]  # project, trace id in hexadecimal


class Verdict(msgspec.Struct, array_like=True, frozen=True):
    """The decision that late spans of a trace follow."""

    probability: float
    rule: str
    content: bool
    conversation: str = ""


class Entry(msgspec.Struct):
    """One committed batch: the traces taken from each segment, and what was decided on each trace."""

    taken: dict[str, list[Key]]
    verdicts: list[tuple[Key, Verdict]]


class Committed(NamedTuple):
    """A batch that is on disk."""

    token: str
    content: bytes


class Journal:
    """A directory of batches, beside the directory of the log whose segments they were decided from."""

    def __init__(self, directory: Path, log_directory: Path) -> None:
        self.directory = directory
        self._log = log_directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def recover(self) -> Iterator[tuple[Committed, Entry]]:
        """Every valid batch, oldest first; batches that were never completed are removed."""
        for kept in sorted(self.directory.glob("*.otlp")):
            if not kept.with_suffix(".json").exists():
                kept.unlink()
        for path in sorted(self.directory.glob("*.json")):
            try:
                entry = msgspec.json.decode(path.read_bytes(), type=Entry)
                content = path.with_suffix(".otlp").read_bytes()
            except (msgspec.MsgspecError, FileNotFoundError) as error:
                # Its segments are read and decided anew, if they are still there.
                logger.error("%s cannot be read and is set aside: %s", path, error)
                path.rename(path.with_suffix(".damaged"))
                continue
            yield Committed(path.stem, content), entry

    def commit(self, content: bytes, entry: Entry) -> Committed:
        """Make a batch durable; it is valid when this returns. Raises OSError, and then nothing of it is left."""
        token = f"tail-{new_name()}"
        kept, draft = self.directory / f"{token}.otlp", self.directory / f"{token}.tmp"
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)  # somebody may have deleted it
        try:
            _write(kept, content)
            _write(draft, msgspec.json.encode(entry))
            draft.rename(draft.with_suffix(".json"))
            sync_directory(self.directory)
        except OSError:
            for path in (draft.with_suffix(".json"), draft, kept):  # on a full disk each try would leave some
                path.unlink(missing_ok=True)
            raise
        return Committed(token, content)

    def forget(self) -> None:
        """Remove batches whose segments are all gone from the log."""
        for path in self.directory.glob("*.json"):
            try:
                entry = msgspec.json.decode(path.read_bytes(), type=Entry)
            except (msgspec.MsgspecError, FileNotFoundError):
                continue  # the next start sets it aside
            if not any((self._log / f"{name}{state}").exists() for name in entry.taken for state in _STATES):
                path.unlink(missing_ok=True)  # first: without it the batch counts as never completed
                path.with_suffix(".otlp").unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
