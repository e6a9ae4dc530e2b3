"""The durable log: `append` returns when the record is on disk, `next` hands complete segments to the inserter.

Many appends share one sync (group commit). The log is bounded: when the store is away it fills, and then `append`
refuses, which the receivers turn into 503 with Retry-After. Runs on the event loop; only syncs leave it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from ...queries.host.supervision import Supervisor
from ...queries.host.telemetry import Telemetry
from . import framing, segments

logger = logging.getLogger(__name__)

T = TypeVar("T")

_TICK_S = 0.05
# In units of flush_s: from which pause on the collector counts as idle, and how long it waits then.
_PAUSE, _AFTER_PAUSE = 4, 0.1
# How long a stream's segment waits, and from so many bytes on in that time, twice as long.
_IN_STREAM, _DENSE_BYTES = 2, 8 * 1024 * 1024


class LogRefused(Exception):
    """The record was not made durable, and nothing of it is left; the sender may try again later."""


class LogLimits(msgspec.Struct, frozen=True):
    """How large and how old things may get: bytes and seconds."""

    log_bytes: int
    segment_bytes: int
    flush_s: float
    sync_s: float
    keep_s: float  # 0 when the store itself answers for what it took


class DurableLog:
    """One directory of segments. `open` first, then `append` from the event loop and `next`/`done` from the inserter."""

    def __init__(
        self,
        directory: Path,
        limits: LogLimits,
        telemetry: Telemetry,
        name: str,
        supervisor: Supervisor | None = None,
    ) -> None:
        self.directory, self.limits, self.name = directory, limits, name
        self._telemetry, self._supervisor = telemetry, supervisor or Supervisor(telemetry.add)
        self._ready: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._waiting: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._sealing = asyncio.Lock()
        self._active: segments.OpenSegment | None = None
        self._sealed_at = 0.0  # monotonic seconds
        self._sizes: dict[str, int] = {}  # sealed and not yet inserted
        self._kept: list[Path] = []  # inserted, the store's files perhaps not yet on the disk
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self._is_full = False  # the last record found no place
        self.problem = ""
        """Why the open segment cannot be completed, "" when it can."""
        self.ended = False
        """Nothing more will come in."""
        # A thread of its own: slow queries in the shared pool must not hold up acknowledgements.
        self._syncer = ThreadPoolExecutor(1, thread_name_prefix=f"sync {name}")

    @property
    def backlog_bytes(self) -> int:
        """Bytes that are durable and not yet in the store."""
        return sum(list(self._sizes.values())) + (self._active.size if self._active else 0)

    @property
    def inserted_until_ms(self) -> int:
        """What was received before this, milliseconds since 1970, is in the store or was sampled out."""
        now = time.time_ns()  # first: what comes after it counts as not yet there
        active = self._active
        waiting = list(self._sizes)
        if active is not None and active.size:
            waiting.append(active.name)
        return (segments.begun_ns(min(waiting)) if waiting else now) // 1_000_000

    def end(self) -> None:
        """Says that no more records will come; what is there is still inserted."""
        self.ended = True

    def open(self) -> None:
        """Recovers what an earlier process left, queues it for insertion, and starts syncing.

        Segments that were inserted lately are queued too: after a power loss the store may have lost them; after a mere
        crash the deduplication token makes the second insert a no-op.
        """
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        states = (segments.OPEN, segments.SEALED, segments.INSERTED)
        for path in sorted(path for state in states for path in segments.listed(self.directory, state)):
            if set_aside := segments.repair(path):
                self._telemetry.add("log_damaged_bytes_total", set_aside, log=self.name)
            if size := path.stat().st_size:
                self._sizes[path.stem] = size
                self._ready.put(path.rename(path.with_suffix(segments.SEALED)))
            else:
                path.unlink()
        loop, keep = asyncio.get_running_loop(), self._supervisor.keep_running
        self._tasks = [
            loop.create_task(keep(f"log {self.name}", self._commits)),
            loop.create_task(keep(f"old segments {self.name}", self._forgets)),
        ]

    def recovered(self) -> Iterator[framing.Record]:
        """
        The records that wait for their insert: what an earlier process acknowledged last.

        To be read after `open` and before anything is inserted: inserted segments are gone, or have another name.
        """
        for path in segments.listed(self.directory, segments.SEALED):
            with contextlib.suppress(FileNotFoundError):
                yield from framing.records(path.read_bytes())

    async def append(self, body: bytes, project: str) -> None:
        """Returns when the record is on disk; raises LogRefused when it is not and will not be."""
        if self.backlog_bytes + len(body) > self.limits.log_bytes:
            self._is_full = True
            raise LogRefused(f"the log is full ({self.limits.log_bytes >> 20} MiB): the store is away or behind")
        async with self._sealing:
            if self._closing:
                raise LogRefused("the collector is shutting down")
            try:
                if self._active is None:
                    self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                    self._active = segments.OpenSegment(self.directory)
                self._active.write(framing.frame(body, project, time.time_ns() // 1_000_000))
            except OSError as error:
                raise LogRefused(f"cannot write to {self.directory}: {error.strerror}") from error
            self._is_full = False
            durable = asyncio.get_running_loop().create_future()
            self._waiting.append(durable)
        self._wake.set()
        await durable

    async def _commits(self) -> None:
        while not self._closing:
            # Without an open segment there is nothing to seal in time, and nothing to wake up for.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._nap_s())
            self._wake.clear()
            try:
                if self._waiting:
                    await asyncio.sleep(self.limits.sync_s)  # others join: one sync serves all
                    await self._commit()
                if self._due():
                    await self._seal()
            except Exception:
                # Whatever it is: who waits must hear of it, and the next request gets its try at once, not after a pause.
                logger.exception("the log %s failed", self.directory)
                self._telemetry.add("part_restarts_total", 1, part=f"log {self.name}")
                waiting, self._waiting = self._waiting, []
                _settle(waiting, LogRefused("the log failed; the collector's own log says how"))
                await asyncio.sleep(_TICK_S)

    def _nap_s(self) -> float | None:
        """Seconds until it is time to look again; without an open segment only a record wakes."""
        active = self._active
        if active is None:
            return None
        due_in = active.opened_at + self._patience_s(active) - time.monotonic()
        return due_in if 0 < due_in < _TICK_S else _TICK_S

    def _due(self) -> bool:
        active = self._active
        if active is None or not active.size:
            return False
        old = self._ready.empty() and time.monotonic() - active.opened_at >= self._patience_s(active)
        return old or active.size >= self.limits.segment_bytes

    def _patience_s(self, active: segments.OpenSegment) -> float:
        """Seconds that an open segment waits for more records.

        An insert has a fixed price: in a stream, segments follow each other at half the pace of single requests, in a
        dense one at a quarter, and while the inserter is behind they grow. What comes after a pause is inserted at once:
        there is no stream to join.
        """
        pause_s = active.opened_at - self._sealed_at
        if pause_s < self.limits.flush_s:
            return self.limits.flush_s * _IN_STREAM * (2 if active.size >= _DENSE_BYTES else 1)
        return self.limits.flush_s if pause_s < _PAUSE * self.limits.flush_s else _AFTER_PAUSE * self.limits.flush_s

    async def _commit(self) -> None:
        """One sync for everybody who waits. When it fails, everything since the last good one is taken back."""
        active, waiting, self._waiting = self._active, self._waiting, []
        assert active is not None
        refusal: LogRefused | None = LogRefused("the sync did not end")  # nobody is told 200 by default
        try:
            await self._off_the_loop(active.sync)
            refusal = None
        except OSError as error:
            self._telemetry.add("log_sync_failures_total", 1, log=self.name)
            refusal = LogRefused(f"cannot sync {active.path}: {error.strerror}")
            waiting, self._waiting = waiting + self._waiting, []
            active.take_back()
            self._replace_deleted(active)
        finally:
            _settle(waiting, refusal)

    async def _seal(self) -> None:
        """Completes the open segment and hands it to the inserter; appends wait meanwhile."""
        async with self._sealing:
            if self._waiting:
                await self._commit()
            active = self._active
            if active is None or not active.size:
                return
            try:
                path = await self._off_the_loop(active.seal)
            except OSError as error:
                if self.problem != (problem := f"cannot seal {active.path}: {error.strerror}"):
                    logger.error("%s", problem)
                self.problem = problem
                self._replace_deleted(active)
                return
            self.problem = ""
            self._sizes[active.name] = active.size  # first: whoever asks what waits finds it once or twice, never not
            self._active, self._sealed_at = None, time.monotonic()
            self._ready.put(path)

    def _replace_deleted(self, active: segments.OpenSegment) -> None:
        """Puts what a deleted segment held into a new one: its senders were told that it is durable."""
        if not active.is_deleted():
            return
        content = active.content()
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = segments.OpenSegment(self.directory)
            if content:
                fresh.write([content])
                fresh.sync()
        except OSError as error:
            self.problem = f"{self.directory} was deleted and cannot be made again: {error.strerror}"
            return
        logger.error("%s was deleted; its %d bytes are in %s now", active.path, len(content), fresh.path)
        active.discard()
        self._active, self.problem = fresh, ""

    def state(self) -> str:
        """What keeps the log from taking records, "" when nothing does."""
        if not self.directory.is_dir():
            return f"the directory {self.directory} is gone"
        # A record is refused when it does not fit in, so a full log lies a little below its bound.
        if self._is_full and self.backlog_bytes > self.limits.log_bytes / 2:
            return f"the log is full ({self.limits.log_bytes >> 20} MiB): the store is away or behind"
        return self.problem

    async def _off_the_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._syncer, work)

    def next(self, timeout_s: float) -> Path | None:
        """The next complete segment; raises queue.Empty when none comes, returns None at the end of the log."""
        return self._ready.get(timeout=timeout_s)

    def done(self, name: str) -> None:
        """The segment's records are in the store (called from the inserter's thread)."""
        path = self.directory / (name + segments.SEALED)
        try:
            if self.limits.keep_s > 0:
                self._kept.append(path.rename(path.with_suffix(segments.INSERTED)))
            else:
                path.unlink()
        except FileNotFoundError:
            logger.error("%s was deleted by somebody while it was inserted or waited for its spans", path)
            self._telemetry.add("log_deleted_segments_total", 1, log=self.name)
        finally:
            self._sizes.pop(name, None)

    def lost(self, path: Path) -> None:
        """A complete segment is gone before its insert (called from the inserter's thread)."""
        size = self._sizes.pop(path.stem, 0)
        logger.critical("%s was deleted by somebody before its insert: %d bytes are lost", path, size)
        self._telemetry.add("log_lost_bytes_total", size, log=self.name)

    async def _recover(self) -> None:
        """
        Gets over what was wrong without waiting for a record: as long as the service says that it is not ready, a load
        balancer sends it none.
        """
        self._remake_deleted()
        if not self.problem:
            return
        async with self._sealing:
            active = self._active
            if active is not None and active.is_deleted():
                self._replace_deleted(active)
            elif active is None or not active.size:  # nothing is left that could not be completed
                self.problem = ""

    def _remake_deleted(self) -> None:
        """Makes a deleted folder anew; a store that is gone as a whole stays gone, and `state` says so."""
        if self.directory.is_dir():
            return
        try:
            self.directory.parent.mkdir(exist_ok=True, mode=0o700)
            self.directory.mkdir(exist_ok=True, mode=0o700)
        except OSError:  # `state` says that it is gone
            return
        logger.error("%s was deleted by somebody; it is there again", self.directory)

    async def _forgets(self) -> None:
        """Deletes inserted segments once the operating system has put the store's files on the disk."""
        while not self._closing:
            await asyncio.sleep(min(self.limits.keep_s, 1) or 1)
            await self._recover()
            try:
                # Without a sign: after a clock went back, segments would else be kept for as long as it went back.
                if self._kept and abs(time.time() - self._kept[0].stat().st_ctime) >= self.limits.keep_s:
                    await self.forget()
            except OSError as error:
                # The files are copies of what is in the store.
                logger.warning("inserted segments are gone already: %s", error)
                self._kept.clear()

    async def forget(self) -> None:
        """Syncs the file systems and deletes the segments that were inserted before."""
        if not self._kept:
            return
        inserted = len(self._kept)
        await asyncio.to_thread(os.sync)
        for path in self._kept[:inserted]:
            path.unlink(missing_ok=True)
        del self._kept[:inserted]

    async def close(self) -> None:
        """Refuses further records, seals what is open, and ends the inserter's queue."""
        self._closing = True
        self._wake.set()
        await self._tasks[0]
        self._tasks[1].cancel()
        await self._seal()
        if self._active is not None and not self._active.size:
            self._active.discard()
        self._syncer.shutdown()
        self._ready.put(None)


def _settle(waiting: list[asyncio.Future[None]], refusal: LogRefused | None) -> None:
    for future in waiting:
        if future.done():  # its request was cancelled
            continue
        if refusal is None:
            future.set_result(None)
        else:
            future.set_exception(refusal)
