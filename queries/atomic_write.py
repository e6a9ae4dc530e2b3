"""Puts a file in its place whole or not at all: exports, datasets, reports, caches."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from ..errors import UsageError


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Writes the file whole or not at all: a crash or a full disk leaves the old one as it was.

    `durable` waits until the disk has it; a cache can do without. Raises UsageError when there is no writing there, or something that is no file: a device such as /dev/null would be
    replaced by one.
    """
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is no regular file, and would be replaced", hint="name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
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
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def jsonl(items: Iterable[dict[str, Any]]) -> bytes:
    """One object a line."""
    return b"".join(msgspec.json.encode(item) + b"\n" for item in items)
