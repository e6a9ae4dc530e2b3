"""The files of the durable log: segments that are open, sealed, inserted or quarantined, told apart by their suffix.

    NAME.open      being appended to
    NAME.sealed    complete and synced, waits for its insert
    NAME.inserted  in the store; kept for a while, because the store's own files may not be on the disk yet
    NAME.damaged   bytes that made no sense at start; never inserted, kept for a person to look at

A state changes by renaming, so there is no ledger that could disagree with the files.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from pathlib import Path

from . import framing

logger = logging.getLogger(__name__)

OPEN, SEALED, INSERTED, DAMAGED = ".open", ".sealed", ".inserted", ".damaged"


def new_name() -> str:
    """A name that sorts by time and is never used twice: it is also the deduplication token of the insert."""
    return f"{time.time_ns():020d}-{secrets.token_hex(4)}"


def begun_ns(name: str) -> int:
    """When a segment of that name was begun, nanoseconds since 1970: every record in it came later."""
    return int(name[:20])


def sync_directory(directory: Path) -> None:
    """Makes names that were created or changed in the directory survive a power loss."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def listed(directory: Path, suffix: str) -> list[Path]:
    """The segments in one state, oldest first."""
    return sorted(directory.glob(f"*{suffix}"))


def repair(path: Path) -> int:
    """Leaves only whole records in a segment that a crash may have torn, and sets the rest aside.

    Returns the number of bytes set aside in NAME.damaged, 0 when the segment was sound. The segment's own file is
    replaced in one rename, so a crash in here changes nothing.
    """
    segment = path.read_bytes()
    damaged = framing.damage(segment)
    if not damaged:
        return 0
    aside = b"".join(segment[stretch.start : stretch.end] for stretch in damaged)
    for stretch in damaged:
        logger.warning("%s: bytes %d to %d set aside: %s", path.name, stretch.start, stretch.end, stretch.reason)
    _write_synced(path.with_suffix(DAMAGED), aside)
    whole = path.with_suffix(".repaired")
    _write_synced(whole, framing.without(segment, damaged))
    whole.replace(path)
    sync_directory(path.parent)
    return len(aside)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


class OpenSegment:
    """The segment that records are appended to; a failed write or sync takes back what was not made durable."""

    def __init__(self, directory: Path) -> None:
        self.name = new_name()
        self.path = directory / (self.name + OPEN)
        self.size = 0
        self.synced = 0
        self.opened_at = 0.0  # monotonic seconds of the first record
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._named = False

    def write(self, pieces: list[bytes]) -> None:
        """Appends one record whole or not at all; OSError says why not."""
        length = sum(map(len, pieces))
        try:
            written = os.writev(self._descriptor, pieces)
            if written < length:  # a disk that fills up takes a part, and fails only on the next write
                written += os.write(self._descriptor, b"".join(pieces)[written:])
            if written < length:
                raise OSError(28, "No space left on device")
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        if not self.size:
            self.opened_at = time.monotonic()
        self.size += length

    def sync(self) -> None:
        """Makes everything appended so far survive a power loss."""
        size = self.size
        os.fdatasync(self._descriptor)
        if self.is_deleted():
            raise FileNotFoundError(2, "the segment was deleted")
        if not self._named:
            sync_directory(self.path.parent)
            self._named = True
        self.synced = size

    def is_deleted(self) -> bool:
        """Whether somebody removed the file, or the directory with it: what is written then goes nowhere."""
        return not os.fstat(self._descriptor).st_nlink

    def content(self) -> bytes:
        """What was synced, also when the file was deleted meanwhile."""
        return os.pread(self._descriptor, self.synced, 0)

    def take_back(self) -> None:
        """Forgets what was appended since the last sync: its senders were told that it failed."""
        os.ftruncate(self._descriptor, self.synced)
        self.size = self.synced

    def seal(self) -> Path:
        """Syncs, renames and closes: the segment is complete; while that fails it stays open."""
        self.sync()
        path = self.path.rename(self.path.with_suffix(SEALED))
        os.close(self._descriptor)
        return path

    def discard(self) -> None:
        """Closes and removes a segment that holds nothing."""
        os.close(self._descriptor)
        self.path.unlink(missing_ok=True)
