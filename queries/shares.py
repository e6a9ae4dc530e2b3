"""Places that all projects share, such as running statements: one project gets at most its part of them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import EvalspanError


class ShareExhausted(EvalspanError):
    """A project holds all that it may hold, or everything is taken; try again later."""


class Shares:
    """Counts what is held, in all and by project. Safe to use from many threads."""

    def __init__(self, what: str, *, total: int, total_setting: str, part: int, part_setting: str) -> None:
        """`what` is the plural for messages; `total` is for all projects together, `part` for one of them. Who belongs to
        no project, "", is bound by the total alone.
        """
        self._what = what
        self._total, self._total_setting = total, total_setting
        self._part, self._part_setting = min(part, total), part_setting
        self._held: Counter[str] = Counter()
        self._changed = threading.Condition()

    def acquire(self, project: str, amount: int = 1, *, timeout_s: float = 0) -> None:
        """
        Takes `amount` for the project, waiting up to `timeout_s` seconds for others to release theirs.

        Raises:
            ShareExhausted: it stays taken; says which setting bounds it.
        """
        until = time.monotonic() + timeout_s
        with self._changed:
            while refusal := self._refusal(project, amount):
                left = until - time.monotonic()
                if left <= 0:
                    raise refusal
                self._changed.wait(left)
            self._held[project] += amount

    def release(self, project: str, amount: int = 1) -> None:
        """Gives back what was taken."""
        with self._changed:
            self._held[project] -= amount
            if not self._held[project]:
                del self._held[project]
            self._changed.notify_all()

    @contextmanager
    def held(self, project: str, amount: int = 1) -> Iterator[None]:
        """Holds `amount` for the block. Raises ShareExhausted."""
        self.acquire(project, amount)
        try:
            yield
        finally:
            self.release(project, amount)

    def total_held(self) -> int:
        """What all projects hold now."""
        with self._changed:
            return self._held.total()

    def _refusal(self, project: str, amount: int) -> ShareExhausted | None:
        if project and self._held[project] + amount > self._part < self._total:
            return ShareExhausted(
                f"This project has {self._held[project]} {self._what} of the {self._part} that one project may have"
                f" ({self._part_setting}).",
                hint="Wait until one has ended, or raise the setting.",
            )
        if self._held.total() + amount > self._total:
            return ShareExhausted(
                f"{self._what.capitalize()}: all {self._total} are in use ({self._total_setting}).",
                hint="Try again in a moment.",
            )
        return None
