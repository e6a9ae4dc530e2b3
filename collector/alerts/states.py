"""When a condition becomes an alert and when it ends: how long it must hold, one alert per instance, quiet after its end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

Key = tuple[str, ...]


class Transition(NamedTuple):
    """A change of state that is worth a notice: an instance began to fire, or was resolved."""

    key: Key
    what: Literal["fired", "resolved"]
    started_at: datetime


class AlertInstance:
    """One combination of the columns that a rule keeps apart: its evaluations in a row, and since when it fires."""

    def __init__(self) -> None:
        self.hits = self.misses = 0
        self.since: datetime | None = None
        self.ended_at: datetime | None = None


class RuleState:
    """The instances of one rule over its evaluations."""

    def __init__(self, *, evaluations_to_fire: int, evaluations_to_resolve: int, repeat_interval: float) -> None:
        self._to_fire, self._to_resolve = evaluations_to_fire, evaluations_to_resolve
        self._repeat_interval = timedelta(seconds=repeat_interval)
        self._instances: dict[Key, AlertInstance] = {}

    def restore(self, key: Key, since: datetime) -> None:
        """Takes up an alert that was firing before a restart, so that it is not raised again."""
        self._instances.setdefault(key, AlertInstance()).since = since

    def evaluate(self, matched: Iterable[Key], now: datetime) -> list[Transition]:
        """What changes when these keys meet the condition now and all others do not."""
        seen = dict.fromkeys(matched)
        transitions = []
        for key in [*seen, *(known for known in self._instances if known not in seen)]:
            instance = self._instances.setdefault(key, AlertInstance())
            hit = key in seen
            instance.hits, instance.misses = (instance.hits + 1, 0) if hit else (0, instance.misses + 1)
            quiet = self._is_quiet(instance, now)
            if instance.since is None and instance.hits >= self._to_fire and not quiet:
                instance.since = now
                transitions.append(Transition(key, "fired", now))
            elif instance.since is not None and instance.misses >= self._to_resolve:
                transitions.append(Transition(key, "resolved", instance.since))
                instance.since = None
                instance.ended_at = now
            elif instance.since is None and instance.misses >= self._to_resolve and not quiet:
                del self._instances[key]
        return transitions

    def _is_quiet(self, instance: AlertInstance, now: datetime) -> bool:
        """Whether it ended a moment ago. An end in the future is that of a clock which was ahead: it keeps nothing quiet."""
        ended = instance.ended_at
        return ended is not None and ended <= now < ended + self._repeat_interval

    @property
    def firing(self) -> list[Key]:
        """The keys that fire now."""
        return [key for key, instance in self._instances.items() if instance.since is not None]
