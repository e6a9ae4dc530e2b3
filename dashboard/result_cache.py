"""Results that take long are computed once for all who ask, shown again while they are fresh, and renewed beside the page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")
FRESH_SECONDS = 60.0
"""As old as this, a result is shown as it is."""
USABLE_SECONDS = 900.0
"""As old as this, it is shown, and computed again meanwhile."""
MAX_RESULTS = 60


class ResultCache(Generic[T]):
    """The newest results by key; the oldest gives way when there are too many. For one event loop."""

    def __init__(self) -> None:
        self._results: dict[Hashable, tuple[float, T]] = {}
        self._running: dict[Hashable, asyncio.Task[T]] = {}

    def known(self, key: Hashable) -> bool:
        """Whether a result could be shown at once."""
        found = self._results.get(key)
        return found is not None and found[0] > monotonic() - USABLE_SECONDS

    async def get(self, key: Hashable, compute: Callable[[], Awaitable[T]]) -> T:
        """The result of a key: what is known, else computed now; everybody who asks meanwhile waits for the same one."""
        found = self._results.get(key)
        age = monotonic() - found[0] if found else USABLE_SECONDS
        if found and age < FRESH_SECONDS:
            return found[1]
        task = self._running.get(key)
        if task is None:
            task = asyncio.ensure_future(self._computed(key, compute))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        if found and age < USABLE_SECONDS:
            task.add_done_callback(_seen)
            return found[1]
        return await asyncio.shield(task)

    def forget(self) -> None:
        """Drops what is known, after a write that changes it."""
        self._results.clear()

    async def _computed(self, key: Hashable, compute: Callable[[], Awaitable[T]]) -> T:
        result = await compute()
        while len(self._results) >= MAX_RESULTS:
            self._results.pop(next(iter(self._results)))
        self._results.pop(key, None)
        self._results[key] = (monotonic(), result)
        return result


def _seen(task: asyncio.Task[T]) -> None:
    if not task.cancelled():
        task.exception()  # what fails beside a page fails in the open for whoever asks next
