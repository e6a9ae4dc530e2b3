"""Bounds on how many days far from the present spans are stored: each day is a part of the store, which all projects share."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from ...queries.shares import ShareExhausted, Shares

DAY_NS = 86_400 * 10**9
USUAL_PAST_DAYS, USUAL_FUTURE_DAYS = 400, 2


def usual_times(now_ns: int, keep_days: int) -> tuple[int, int]:
    """The times that need no place, nanoseconds since 1970: what is kept, at most 400 days back, and clocks a little ahead."""
    past = min(keep_days, USUAL_PAST_DAYS) if keep_days else USUAL_PAST_DAYS
    return now_ns - past * DAY_NS, now_ns + USUAL_FUTURE_DAYS * DAY_NS


class FarDays:
    """The days that have a place, since this process started; from any thread."""

    def __init__(self, places: Shares) -> None:
        self._places = places
        self._known: set[int] = set()
        self._lock = threading.Lock()

    def refused(self, project: str, days: Iterable[int]) -> dict[int, str]:
        """Those of `days`, counted since 1970, that found no place, each with the reason; the others have theirs from now on."""
        reasons: dict[int, str] = {}
        with self._lock:
            for day in days:
                if day in self._known:
                    continue
                try:
                    self._places.acquire(project)
                except ShareExhausted as error:
                    reasons[day] = str(error)
                else:
                    self._known.add(day)
        return reasons
