"""Holds scores and messages until the spans they belong to are stored: the stage between their logs and the insert.

What has its span goes in at once, and nothing waits behind what has none yet: a segment with such events stays in its log
and is read again now and then, as long as its spans may still come.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ..log import framing, segments
from ..log.durable import DurableLog
from .inserter import Batch

Key = tuple[str, str, str]  # project, trace id, span id

_MAX_PAUSE_S = 16.0
# When the service stops: how long what the log of spans holds is waited for; the rest goes in at the next start.
_SHUTDOWN_WAIT_S = 3.0
# While the service is down no span can come; senders try again for about so long once it is back.
_AFTER_START_S = 60.0
_CLOCK_STEP_S = 1.0


class Write(Protocol):
    """Inserts events of a segment of log records."""

    def __call__(self, segment: bytes, only: set[Key] | None, *, last: bool) -> set[Key]:
        """Those whose span is stored, of these spans or of all; with `last` the others, too. Returns spans that are not."""


class PendingSegment:
    """A segment with events whose spans are not stored yet."""

    __slots__ = ("missing", "next_attempt_at", "pause_s", "received_ms")

    def __init__(self, received_ms: int, pause_s: float) -> None:
        self.received_ms = received_ms
        self.missing: set[Key] | None = None  # None: not tried yet
        self.pause_s = pause_s
        self.next_attempt_at = 0.0  # monotonic seconds


class SpanJoinStage:
    """The stage of one such log in `directory`; `insert` is what its inserter calls. One thread uses it.

    Spans are waited for until every one that was received within `wait_s` seconds after the event has been inserted or
    sampled out, however long that takes.
    """

    def __init__(
        self,
        write: Write,
        directory: Path,
        spans: DurableLog,
        wait_s: float,
        again_s: float,
        *,
        keep_at_stop: bool = False,
    ) -> None:
        """`keep_at_stop`: what still may get its span stays in the log for the next start, instead of going in without."""
        self._keep_at_stop = keep_at_stop
        self._write, self._directory, self._spans = write, directory, spans
        self._wait_s, self._again_s = wait_s, again_s
        self._held: dict[str, PendingSegment] = {}
        self._only: set[Key] | None = None
        self._last = False
        self._missing: set[Key] = set()
        self._started_ms = time.time_ns() // 1_000_000
        self._clock_ahead_s = _clock_ahead_s()
        self._distrusted_until = 0.0  # monotonic seconds

    def insert(self, content: bytes, token: str) -> None:  # noqa: ARG002 - a repetition overwrites
        """Inserts a segment, or a part of it, for the attempt that is under way. Raises what the store raises."""
        self._missing |= self._write(content, self._only, last=self._last)

    def process(self, name: str, segment: bytes) -> Iterator[Batch]:
        """Inserts what can be inserted of a new segment."""
        received = max((record.received_ms for record in framing.records(segment)), default=0)
        if received < self._started_ms:
            received = self._started_ms + int(1000 * _AFTER_START_S)
        yield from self._attempt(name, segment, PendingSegment(received, self._again_s))

    def flush_due(self) -> Iterator[Batch]:
        """Tries again where it is time to."""
        now = time.monotonic()
        for name, held in list(self._held.items()):
            if now >= held.next_attempt_at or self._is_last(held):
                yield from self._attempt_again(name, held)

    def shutdown(self) -> Iterator[Batch]:
        """A last attempt, after the spans that came before the stop; what still waits for one stays in the log."""
        until = time.monotonic() + _SHUTDOWN_WAIT_S
        while self._held and self._spans.backlog_bytes and time.monotonic() < until:
            time.sleep(0.05)
        for name, held in list(self._held.items()):
            yield from self._attempt_again(name, held)

    def _attempt_again(self, name: str, held: PendingSegment) -> Iterator[Batch]:
        try:
            segment = (self._directory / f"{name}{segments.SEALED}").read_bytes()
        except FileNotFoundError:  # somebody deleted it; the others must not wait behind it
            del self._held[name]
            yield Batch(name, b"", (name,))
        else:
            yield from self._attempt(name, segment, held)

    def _attempt(self, name: str, segment: bytes, held: PendingSegment) -> Iterator[Batch]:
        self._last = self._is_last(held)  # before the attempt: what is inserted during it counts for the next
        self._only, self._missing = held.missing, set()
        yield Batch(name, segment, ())
        if self._last or not self._missing:
            self._held.pop(name, None)
            yield Batch(name, b"", (name,))
            return
        held.missing, self._missing = self._missing, set()
        held.next_attempt_at = time.monotonic() + held.pause_s
        held.pause_s = min(2 * held.pause_s, _MAX_PAUSE_S)
        self._held[name] = held

    def _is_last(self, held: PendingSegment) -> bool:
        if self._spans.ended and not self._spans.backlog_bytes and not self._keep_at_stop:
            return True
        if self._clock_moved():
            return False
        # A clock that was ahead for a while must not keep it waiting for as long.
        held.received_ms = min(held.received_ms, time.time_ns() // 1_000_000 + int(1000 * _AFTER_START_S))
        return self._spans.inserted_until_ms > held.received_ms + 1000 * self._wait_s

    def _clock_moved(self) -> bool:
        """Whether somebody moved the clock lately: what was received before and after it cannot be compared yet."""
        ahead_s = _clock_ahead_s()
        if abs(ahead_s - self._clock_ahead_s) > _CLOCK_STEP_S:
            self._clock_ahead_s, self._distrusted_until = ahead_s, time.monotonic() + self._wait_s
        return time.monotonic() < self._distrusted_until


def _clock_ahead_s() -> float:
    """Of the clock that nobody moves."""
    return time.time_ns() / 1e9 - time.monotonic()
