"""The time by which data may be deleted: the machine's, unless it jumped ahead, which is believed once it has lasted a day."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

JUMP = timedelta(days=1)
"""What the clock may be ahead of what it was without being a jump: also what a service may be switched off."""
CONFIRMED_AFTER = timedelta(days=1)


class BelievedClock:
    """
    Follows the machine's clock, backwards at once, but not forwards by more than a day at a time.

    A clock that is suddenly a year ahead makes everything a year old. Until the new time has lasted for a day, the old
    one goes on at the pace of the clock that nobody moves.
    """

    def __init__(
        self,
        last: datetime | None,
        watched_since: datetime | None,
        *,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`last` is the moment that was believed before this process, None when nothing is known."""
        self._wall, self._steady_s = wall, steady_s
        self.moment = last or wall()
        self.watched_since = watched_since
        self._looked_at_s = steady_s()
        self._seen = watched_since

    def look(self) -> datetime:
        """The moment to go by now."""
        wall, steady_s = self._wall(), self._steady_s()
        passed = timedelta(seconds=steady_s - self._looked_at_s)
        expected, self._looked_at_s = self.moment + passed, steady_s
        jumped_again = self._seen is not None and not -JUMP <= wall - (self._seen + passed) <= JUMP
        self._seen = wall
        if wall - expected <= JUMP:
            self.moment, self.watched_since = wall, None
        elif self.watched_since is None or jumped_again or wall < self.watched_since:
            self.moment, self.watched_since = expected, wall
        elif wall - self.watched_since >= CONFIRMED_AFTER:
            self.moment, self.watched_since = wall, None
        else:
            self.moment = expected
        return self.moment

    @property
    def problem(self) -> str:
        """Why the machine's clock is not gone by, "" when it is."""
        if self.watched_since is None:
            return ""
        until = self.watched_since + CONFIRMED_AFTER
        return (
            f"the clock says {self._wall():%Y-%m-%d %H:%M} and was at {self.moment:%Y-%m-%d %H:%M} by the time that has"
            f" passed: nothing is deleted by the new time before {until:%Y-%m-%d %H:%M}"
        )
