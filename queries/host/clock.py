"""The time that alert rules look at and wait by: the machine's; a simulation hands the service its own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime


class Clock:
    """The machine's time."""

    def now(self) -> datetime:
        """The present moment in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Waits until `now` is that much later."""
        await asyncio.sleep(seconds)
