"""Records that cannot be inserted for what is in them: kept apart as files, counted, and replayed on request.

quarantine/SIGNAL/HASH.record   the record as the log frames it, with its project and time of receipt
quarantine/SIGNAL/HASH.reason   why it was set aside, one line
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ...queries.host.telemetry import Telemetry
from ...queries.store.config import Location, parse_dsn
from . import framing

logger = logging.getLogger(__name__)

RECORD, REASON = ".record", ".reason"
FOLDER = "quarantine"


class SetAside(NamedTuple):
    """One record of the quarantine."""

    path: Path
    signal: str
    project: str
    reason: str
    record: framing.Record


class Quarantine:
    """The records of one signal; the same record is set aside once."""

    def __init__(self, directory: Path, signal: str, telemetry: Telemetry) -> None:
        """`directory` is that of all logs."""
        self._directory, self._signal, self._telemetry = directory / FOLDER / signal, signal, telemetry

    def set_aside(self, record: framing.Record, reason: str) -> None:
        """Keeps the record for `evalspan replay`. Raises OSError when it cannot be written: then it is not set aside."""
        name = hashlib.sha256(record.project.encode() + b"\0" + record.body).hexdigest()[:24]
        path = self._directory / f"{name}{RECORD}"
        if path.exists():
            return
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.with_suffix(REASON).write_text(f"{' '.join(reason.split())[:500]}\n", "utf-8", "backslashreplace")
        unfinished = path.with_suffix(".part")
        unfinished.write_bytes(b"".join(framing.frame(*record)))
        unfinished.chmod(0o600)
        unfinished.replace(path)
        logger.error("a record of project %s is set aside in %s: %s", record.project, path, reason[:300])
        self._telemetry.add("insert_quarantined_total", 1, log=self._signal, project=record.project)


def set_aside_records(directory: Path) -> Iterator[SetAside]:
    """What is in the quarantine of the logs in `directory`, oldest first; unreadable files are left out."""
    paths = (directory / FOLDER).glob(f"*/*{RECORD}")
    for path in sorted(paths, key=lambda one: (one.stat().st_mtime, one.name)):
        found = next(framing.sound_records(path.read_bytes()), None)
        if found is not None:
            reason_file = path.with_suffix(REASON)
            reason = reason_file.read_text("utf-8", "replace").strip() if reason_file.exists() else ""
            yield SetAside(path, path.parent.name, found.project, reason, found)


def forget(one: SetAside) -> None:
    """Removes a record that was taken back into the log."""
    one.path.unlink(missing_ok=True)
    one.path.with_suffix(REASON).unlink(missing_ok=True)


def log_directory(log_path: str, location: Location) -> Path:
    """Where the logs of a service on this store are; `log_path` is `[receive] log_path`."""
    if log_path:
        return Path(log_path).expanduser().resolve()
    if location.embedded:
        return Path(location.path) / "log"
    default = parse_dsn(None)
    return Path(default.path if default.embedded else Path.home() / ".evalspan") / "log"
