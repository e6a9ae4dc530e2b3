"""The one cache of model answers: what targets and judges were answered, by exactly what they asked; one switch for all.

EVALSPAN_CACHE names the folder, or is `off`. `--no-cache` is `use_cache(None)`. Failures are never kept: whoever asks
writes an answer only after it has proved usable.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from ..errors import UsageError
from ..queries.atomic_write import write_atomically

VARIABLE = "EVALSPAN_CACHE"
OFF = ("off", "0", "no", "false", "none")
MAX_AGE_DAYS = 30
"""Models change behind their names; an older answer is asked for again."""


class ResponseCache:
    """One file per answer under a folder; safe for several processes, because files appear whole or not at all."""

    def __init__(self, folder: Path | str, *, max_age_days: float = MAX_AGE_DAYS) -> None:
        self.folder = Path(folder)
        self.max_age_s = max_age_days * 86400

    def get(self, key: str) -> bytes | None:
        """The kept answer, None when there is none or it is too old."""
        path = self._path(key)
        try:
            if time.time() - path.stat().st_mtime > self.max_age_s:
                return None
            return path.read_bytes()
        except OSError:
            return None

    def put(self, key: str, answer: bytes) -> None:
        """Keeps an answer, in a folder of its owner alone. A full or read-only disk costs the cache, not the work."""
        path = self._path(key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomically(path, answer, durable=False, private=True)
        except (OSError, UsageError):
            return

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key


class _Switch:
    """What `use_cache` says inside its block."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder


_switch: ContextVar[_Switch | None] = ContextVar("evalspan_cache_switch", default=None)


@contextmanager
def use_cache(folder: Path | str | None) -> Iterator[None]:
    """Inside, every cache lies in this folder; "" is the usual one, None turns all of them off."""
    token = _switch.set(None if folder == "" else _Switch(None if folder is None else Path(folder)))
    try:
        yield
    finally:
        _switch.reset(token)


def cache_folder() -> Path | None:
    """Where answers are kept now: by `use_cache`, else EVALSPAN_CACHE, else the user's cache folder; None for nowhere."""
    switch = _switch.get()
    if switch is not None:
        return switch.folder
    named = os.environ.get(VARIABLE, "").strip()
    if named:
        return None if named.lower() in OFF else Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evalspan"


def open_cache(kind: str) -> ResponseCache | None:
    """The cache of "requests" or "judges"; None when caching is off."""
    folder = cache_folder()
    return None if folder is None else ResponseCache(folder / kind)
