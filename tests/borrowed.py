"""The session's store in the hands of a command, which must not close it: one process opens one embedded store."""

from __future__ import annotations

from typing import Any, Self

from evalspan.queries.store.client import Store


class Borrowed:
    """The store as `connect` gives it; `described` is what a message calls it."""

    def __init__(self, store: Store, described: str = "") -> None:
        self._store = store
        self.described = described or store.described

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Stays open."""

    def close(self) -> None:
        """Stays open."""
