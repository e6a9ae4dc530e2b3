"""Puts a file in its place whole or not at all: exports, datasets, reports, caches."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from ..errors import UsageError


def keep_files_private() -> None:
    """Makes all that this process writes from now on its owner's alone: for the service and what writes stores."""
    os.umask(0o077)


def write_atomically(path: Path, content: bytes, *, durable: bool = True, private: bool = False) -> None:
    """Writes the file whole or not at all: a crash or a full disk leaves the old one as it was.

    Who may read a new file is the user's choice (umask), unless it is `private`; one that is replaced keeps its mode.
    `durable` waits until the disk has it; a cache can do without. Raises UsageError when there is no writing there, or
    something that is no file: a device such as /dev/null would be replaced by one.
    """
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is no regular file, and would be replaced", hint="name a file")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o777)
        temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}", hint="check the folder and its permissions"
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        if path.exists() and not private:
            temporary.chmod(path.stat().st_mode & 0o777)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def jsonl(items: Iterable[dict[str, Any]]) -> bytes:
    """One object a line."""
    return b"".join(msgspec.json.encode(item) + b"\n" for item in items)
