"""From the durable log into the store: one thread per log takes complete segments in order, and never gives one up.

A store that is away is asked again and again while the log fills. A segment that the store refuses for what is in it is
taken apart, so that one bad record cannot hold up the rest: that record is set aside, counted and logged.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ...errors import QueryError
from ...queries.host.telemetry import Telemetry
from ..log import framing, segments
from ..log.durable import DurableLog
from . import nested

logger = logging.getLogger(__name__)

_LONGEST_PAUSE_S = 5.0
_IDLE_S = 0.2

# ClickHouse's errors about the data itself: the same bytes fail again however often they are sent.
_ABOUT_THE_DATA = frozenset({6, 27, 32, 33, 69, 70, 72, 117, 128, 131, 321, 407, 436, 437, 444, nested.FOUND})

# Who sends nested values sends them again: so many batches are looked through before the store refuses them.
_LOOK_AHEAD = 100


class Batch(NamedTuple):
    """What is inserted at once under one deduplication token, and the segments that are done with after it."""

    token: str
    content: bytes
    releases: tuple[str, ...]


class Stage(Protocol):
    """What stands between the log and the insert: the sampler. Called from the inserter's thread only."""

    def take(self, name: str, segment: bytes) -> Iterable[Batch]:
        """A complete segment of the log; returns what can be inserted because of it."""

    def tick(self) -> Iterable[Batch]:
        """Called at least five times a second: returns what time alone has decided."""

    def drain(self) -> Iterable[Batch]:
        """The collector stops: returns what is to be inserted before; undecided segments stay in the log."""


class KeepAll:
    """The stage when nothing is sampled: every segment is inserted as it is."""

    def take(self, name: str, segment: bytes) -> Iterable[Batch]:
        """One batch with the segment's own name as its token."""
        return (Batch(name, segment, (name,)),)

    def tick(self) -> Iterable[Batch]:
        """Nothing waits."""
        return ()

    def drain(self) -> Iterable[Batch]:
        """Nothing waits."""
        return ()


class Inserter:
    """Feeds one log into `insert(content, token)`, which raises while it cannot; `stage` decides what is inserted."""

    def __init__(
        self, log: DurableLog, insert: Callable[[bytes, str], None], telemetry: Telemetry, stage: Stage
    ) -> None:
        self.stage = stage
        self.last_error = ""
        self._log, self._insert, self._telemetry = log, insert, telemetry
        self._look_ahead = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"insert {log.name}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Waits until the closed log is in the store, at most so long; what is left is inserted at the next start.

        Returns whether everything went in.
        """
        self._thread.join(timeout_s)
        self._stop.set()
        self._thread.join()
        return not self._log.backlog_bytes

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                path = self._log.next(_IDLE_S)
            except queue.Empty:
                self._put(self.stage.tick())
                continue
            if path is None:
                self._put(self.stage.drain())
                return
            self._put(self.stage.take(path.stem, path.read_bytes()))
            self._put(self.stage.tick())

    def _put(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            if batch.content and not self._settled(batch):
                return  # told to stop: the segments stay in the log
            for name in batch.releases:
                self._log.done(name)

    def _settled(self, batch: Batch) -> bool:
        """Whether every record of the batch is in the store or set aside; False when told to stop before that."""
        self._look_ahead -= self._look_ahead > 0
        if not self._look_ahead or not _holds_nested(batch.content):
            refusal = self._inserted(batch.content, batch.token)
            if refusal is None:
                return not self._stop.is_set()
            if refusal.code != nested.FOUND:
                return self._anew(batch)
        self._look_ahead = _LOOK_AHEAD
        return self._anew(batch)

    def _anew(self, batch: Batch) -> bool:
        """Inserts what the strict encoder writes: nearly everything that a strict reader trips over is gone."""
        records = [record._replace(body=_canonical(record.body)) for record in framing.records(batch.content)]
        return self._taken_apart(records, f"{batch.token}-anew")

    def _taken_apart(self, records: list[framing.Record], token: str) -> bool:
        """Inserts the records in halves of halves, until those are alone that the store refuses for what is in them."""
        refusal = self._inserted(b"".join(piece for record in records for piece in framing.frame(*record)), token)
        if refusal is None:
            return not self._stop.is_set()
        if len(records) == 1:
            self._set_aside(records[0], token, refusal)
            return True
        middle = len(records) // 2
        return self._taken_apart(records[:middle], f"{token}0") and self._taken_apart(records[middle:], f"{token}1")

    def _inserted(self, content: bytes, token: str) -> QueryError | None:
        """Inserts, as often as it takes; returns the refusal when it is about the data, None also when told to stop."""
        pause = 0.25
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                self._insert(content, token)
            except Exception as error:  # noqa: BLE001 - whatever it is, the segment must not be lost and the thread not end
                if isinstance(error, QueryError) and error.code in _ABOUT_THE_DATA:
                    return error
                self._report(error, pause)
                self._stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            else:
                self.last_error = ""
                self._telemetry.add("insert_seconds_total", time.monotonic() - started, log=self._log.name)
                self._telemetry.add("insert_segments_total", 1, log=self._log.name)
                return None
        return None

    def _report(self, error: Exception, pause: float) -> None:
        if str(error) != self.last_error:
            logger.warning("the store took no %s, trying again in %.2g s and on: %s", self._log.name, pause, error)
        self.last_error = str(error)
        self._telemetry.add("insert_failures_total", 1, log=self._log.name)

    def _set_aside(self, record: framing.Record, token: str, refusal: QueryError) -> None:
        aside = self._log.directory / f"{token}{segments.DAMAGED}"
        aside.write_bytes(record.body)
        logger.error("the store will not take one request, it is kept in %s: %s", aside, refusal)
        self._telemetry.add("insert_quarantined_total", 1, log=self._log.name)


def _canonical(body: bytes) -> bytes:
    """The same request without what the decoder's view cannot read: unknown fields, values nested too deep."""
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError:
        return body  # it is of another signal
    request.DiscardUnknownFields()
    nested.flatten(request)
    return request.SerializeToString()


def _holds_nested(content: bytes) -> bool:
    return any(nested.flatten(ExportTraceServiceRequest.FromString(one.body)) for one in framing.records(content))
