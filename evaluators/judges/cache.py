"""Keeps judge answers on disk, so that an unchanged question is not asked and paid again.

The key covers everything that decides the answer, and the number of the repeat, so that several samples of one
question stay several samples.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from ...errors import UsageError
from ...queries.atomic_write import write_atomically
from .providers import Reply, Request


class AnswerCache:
    """One file per answer under a folder; safe for several processes, because files appear whole or not at all."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def key(self, provider: str, request: Request, repeat: int) -> str:
        """The name of an answer: 64 hex digits over provider, request and repeat."""
        return hashlib.sha256(msgspec.json.encode([provider, request, repeat])).hexdigest()

    def get(self, key: str) -> Reply | None:
        """The kept answer, None when there is none or the file is damaged."""
        try:
            return msgspec.json.decode(self._path(key).read_bytes(), type=Reply)
        except (OSError, msgspec.DecodeError):
            return None

    def put(self, key: str, reply: Reply) -> None:
        """Keeps an answer. A full or read-only disk costs the cache, not the judgement."""
        path = self._path(key)
        try:
            write_atomically(path, msgspec.json.encode(reply), durable=False)
        except (OSError, UsageError):
            return

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def default_cache() -> AnswerCache:
    """The cache at EVALSPAN_CACHE, else in the user's cache folder."""
    base = os.environ.get("EVALSPAN_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return AnswerCache((Path(base) if base else home / "evalspan") / "judges")
