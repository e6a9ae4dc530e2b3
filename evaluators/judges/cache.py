"""Keeps judge answers that proved usable, so that an unchanged question is not asked and paid again.

The key covers everything that decides the answer, and the number of the repeat, so that several samples of one
question stay several samples.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from ..response_cache import ResponseCache, cache_folder, open_cache
from .providers import Reply, Request


class AnswerCache:
    """One file per answer under a folder; with no folder, the one that `use_cache` and EVALSPAN_CACHE name.

    Where these switch caching off, a folder given here is off too.
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        self._own = None if folder is None else ResponseCache(folder)

    def key(self, provider: str, request: Request, repeat: int) -> str:
        """The name of an answer: 64 hex digits over provider, request and repeat."""
        return hashlib.sha256(msgspec.json.encode([provider, request, repeat])).hexdigest()

    def get(self, key: str) -> Reply | None:
        """The kept answer, None when there is none or the file is damaged."""
        cache = self._cache()
        kept = cache.get(f"{key}.json") if cache else None
        try:
            return None if kept is None else msgspec.json.decode(kept, type=Reply)
        except msgspec.DecodeError:
            return None

    def put(self, key: str, reply: Reply) -> None:
        """Keeps an answer that its judge could use."""
        cache = self._cache()
        if cache is not None:
            cache.put(f"{key}.json", msgspec.json.encode(reply))

    def _cache(self) -> ResponseCache | None:
        if self._own is not None:
            return self._own if cache_folder() is not None else None
        return open_cache("judges")
