"""When a condition becomes an alert and when it ends: hysteresis, one alert per thing, quiet after it is over."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, NamedTuple

Key = tuple[str, ...]


class Turn(NamedTuple):
    """A change of state that is worth telling: something began to fire, or stopped."""

    key: Key
    what: Literal["fired", "resolved"]
    started_at: datetime


class _Thing:
    """One thing that a rule watches."""

    def __init__(self) -> None:
        self.hits = self.misses = 0
        self.since: datetime | None = None
        self.quiet_until: datetime | None = None


class RuleState:
    """The memory of one rule over its looks."""

    def __init__(self, *, after: int, recover: int, cool_down_s: float) -> None:
        self._after, self._recover, self._cool_down_s = after, recover, cool_down_s
        self._things: dict[Key, _Thing] = {}

    def remember(self, key: Key, since: datetime) -> None:
        """Takes up an alert that was firing before a restart, so that it is not raised again."""
        thing = self._things.setdefault(key, _Thing())
        thing.since = since

    def look(self, matched: Iterable[Key], now: datetime) -> list[Turn]:
        """What changes when these keys meet the condition now and all others do not."""
        seen = set(matched)
        turns = []
        for key in [*seen, *(known for known in self._things if known not in seen)]:
            thing = self._things.setdefault(key, _Thing())
            hit = key in seen
            thing.hits, thing.misses = (thing.hits + 1, 0) if hit else (0, thing.misses + 1)
            quiet = thing.quiet_until is not None and now < thing.quiet_until
            if thing.since is None and thing.hits >= self._after and not quiet:
                thing.since = now
                turns.append(Turn(key, "fired", now))
            elif thing.since is not None and thing.misses >= self._recover:
                turns.append(Turn(key, "resolved", thing.since))
                thing.since = None
                thing.quiet_until = _later(now, self._cool_down_s)
            elif thing.since is None and thing.misses >= self._recover and not quiet:
                del self._things[key]
        return turns

    @property
    def firing(self) -> list[Key]:
        """The keys that fire now."""
        return [key for key, thing in self._things.items() if thing.since is not None]


def _later(now: datetime, seconds: float) -> datetime:
    from datetime import timedelta

    return now + timedelta(seconds=seconds)
