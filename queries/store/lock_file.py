"""Who has an embedded store open: `service.json`, which `evalspan serve` keeps beside the data, and the engine's lock."""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

import msgspec

SERVICE_FILE = "service.json"
_LOCK_FILE = "status"  # ClickHouse's own, "PID: 123\nStarted at: ..."


class Owner(msgspec.Struct, frozen=True):
    """The process that has the store, and how it is asked; `sql` and `http` are empty when it serves nothing."""

    pid: int
    http: str = ""
    sql: str = ""
    token: str = ""
    address: str = ""
    """Where people reach the pages."""
    certificate: str = ""
    """The file of the TLS certificate that `http` and `sql` present."""


def write_lock_file(directory: Path, owner: Owner) -> None:
    """Writes service.json, readable by this user only, complete or not at all."""
    target = directory / SERVICE_FILE
    written = target.with_suffix(f".{owner.pid}")
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(owner))
    written.replace(target)


def remove_lock_file(directory: Path) -> None:
    """Removes our own service.json; somebody else's stays."""
    owner = _announced(directory)
    if owner is not None and owner.pid == os.getpid():
        (directory / SERVICE_FILE).unlink(missing_ok=True)


def service_of(directory: Path) -> Owner | None:
    """The running service that owns the store, or None; what a killed service left behind does not count."""
    owner = _announced(directory)
    return owner if owner is not None and owner.sql and _alive(owner.pid) else None


def owner_of(directory: Path) -> Owner | None:
    """The process that has the store: the service, else whom the engine's lock file names."""
    announced = _announced(directory)
    if announced is not None and _alive(announced.pid):
        return announced
    try:
        found = re.search(r"PID: (\d+)", (directory / _LOCK_FILE).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return Owner(pid=int(found.group(1))) if found else None


def locked_by_another(directory: Path) -> bool:
    """Whether another process holds the engine's lock now; asked before the engine is, which complains on stderr."""
    try:
        with (directory / _LOCK_FILE).open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        owner = owner_of(directory)
        return owner is None or owner.pid != os.getpid()
    except OSError:
        return False  # not ours to read: the engine's own message is the better one
    return False


def _announced(directory: Path) -> Owner | None:
    try:
        return msgspec.json.decode((directory / SERVICE_FILE).read_bytes(), type=Owner)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
