"""Paces calls to one provider: as many at a time as it takes, halved on every 429, one more after each full round.

Additive increase, multiplicative decrease, as in TCP congestion control. Waiting never blocks the event loop.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FIRST_LIMIT = 16
HIGHEST_LIMIT = 128


class AdaptiveConcurrencyLimiter:
    """How many calls may be under way to one provider in one event loop."""

    def __init__(self, first: int = FIRST_LIMIT, highest: int = HIGHEST_LIMIT) -> None:
        self.limit = float(first)
        self.highest = highest
        self.under_way = 0
        self._resume_at = 0.0
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Waits for a free place, and for the end of a pause that the provider asked for."""
        async with self._freed:
            while self.under_way >= max(1, int(self.limit)):
                await self._freed.wait()
            self.under_way += 1
        try:
            pause = self._resume_at - asyncio.get_running_loop().time()
            if pause > 0:
                await asyncio.sleep(pause)
            yield
        finally:
            async with self._freed:
                self.under_way -= 1
                self._freed.notify_all()

    def succeeded(self) -> None:
        """One more place after every `limit` successes, while the places are used."""
        if self.under_way >= self.limit * 0.8:
            self.limit = min(self.highest, self.limit + 1 / self.limit)

    def refused(self, pause_s: float) -> None:
        """Half the places, and nothing new for `pause_s` seconds: the provider answered 429 or is overloaded."""
        now = asyncio.get_running_loop().time()
        if now >= self._resume_at:  # one congestion, however many calls ran into it, halves once
            self.limit = max(1.0, self.limit / 2)
        self._resume_at = max(self._resume_at, now + pause_s)


_paces: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, AdaptiveConcurrencyLimiter]] = (
    weakref.WeakKeyDictionary()
)


def limiter_of(key: str) -> AdaptiveConcurrencyLimiter:
    """The pace that all judges on this provider share in the running event loop."""
    return _paces.setdefault(asyncio.get_running_loop(), {}).setdefault(key, AdaptiveConcurrencyLimiter())
