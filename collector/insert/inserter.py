"""From the durable log into the store: one thread per log takes complete segments in order, and never gives one up.

A store that is away is asked again and again while the log fills. A segment that the store refuses for what is in it, or
on which our own code fails, is taken apart, so that one bad record cannot hold up the rest: that record is set aside,
counted, logged, and taken again by `evalspan replay`.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from ...errors import QueryError
from ...queries.host.supervision import State, Supervisor
from ...queries.host.telemetry import Telemetry
from ..log import framing
from ..log.durable import DurableLog
from ..log.quarantine import Quarantine
from .nested import NESTED_VALUE_ERROR_CODE
from .refusal import Refusal, classify

logger = logging.getLogger(__name__)

_MIN_PAUSE_S, _MAX_PAUSE_S = 0.25, 5.0
_IDLE_S = 0.2

# Who sends nested values sends them again: so many batches are looked through before the store refuses them.
_LOOK_AHEAD = 100
# An error that may be about the data or about the store is tried so often before the batch is taken apart.
_TRIES = 4
# A segment on which the sampler fails so often goes in unsampled: every span kept, with weight 1.
_STAGE_TRIES = 3


class Batch(NamedTuple):
    """What is inserted at once under one deduplication token, and the segments that are done with after it."""

    token: str
    content: bytes
    releases: tuple[str, ...]


class Stage(Protocol):
    """What stands between the log and the insert: the sampler. Called from the inserter's thread only."""

    def process(self, name: str, segment: bytes) -> Iterable[Batch]:
        """A complete segment of the log; returns what can be inserted because of it."""

    def flush_due(self) -> Iterable[Batch]:
        """Called at least five times a second: returns what time alone has decided."""

    def shutdown(self) -> Iterable[Batch]:
        """The collector stops: returns what is to be inserted before; undecided segments stay in the log."""


class KeepAll:
    """The stage when nothing is sampled: every segment is inserted as it is."""

    def process(self, name: str, segment: bytes) -> Iterable[Batch]:
        """One batch with the segment's own name as its token."""
        return (Batch(name, segment, (name,)),)

    def flush_due(self) -> Iterable[Batch]:
        """Nothing waits."""
        return ()

    def shutdown(self) -> Iterable[Batch]:
        """Nothing waits."""
        return ()


class Strict(Protocol):
    """Writes records in a form that a strict reader takes; only the log of spans has one."""

    def rewrite(self, record: framing.Record) -> framing.Record:
        """The same record without what the decoder cannot read."""

    def is_needed(self, content: bytes) -> bool:
        """Whether a batch holds values that have to be rewritten."""


class Inserter:
    """Feeds one log into `insert(content, token)`, which raises while it cannot; `stage` decides what is inserted."""

    def __init__(
        self,
        log: DurableLog,
        insert: Callable[[bytes, str], None],
        telemetry: Telemetry,
        stage: Stage,
        quarantine: Quarantine,
        supervisor: Supervisor,
        *,
        strict: Strict | None = None,
        store_answers: Callable[[], bool] = lambda: False,
    ) -> None:
        self.stage = stage
        self.last_error = ""
        self._log, self._insert, self._telemetry = log, insert, telemetry
        self._quarantine, self._strict, self._store_answers = quarantine, strict, store_answers
        self._look_ahead = 0
        self._stop = threading.Event()
        self._current: Path | None = None
        self.stage_failures = 0
        """Segments that went in unsampled, because the stage failed on them."""
        self._stage_tries = 0
        part = f"inserter {log.name}"
        self._thread = threading.Thread(
            target=supervisor.keep_running_thread, args=(part, self._run, self._stop), name=part, daemon=True
        )

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Waits until the closed log is in the store, at most so long; what is left is inserted at the next start.

        Returns whether everything went in.
        """
        if self._thread.ident is not None:  # else the start failed before it
            self._thread.join(timeout_s)
            self._stop.set()
            self._thread.join()
        return not self._log.backlog_bytes

    def state(self) -> tuple[State, str]:
        """How the inserting does."""
        if not self._thread.is_alive():
            return State.FAILED, "its thread has ended"
        if self.last_error:
            return State.WARNING, self.last_error
        return State.OK, ""

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._current is None:
                try:
                    self._current = self._log.next(_IDLE_S)
                except queue.Empty:
                    self._flush_due()
                    continue
                if self._current is None:
                    self._put(self.stage.shutdown())
                    return
            self._process(self._current)
            self._current = None
            self._flush_due()

    def _flush_due(self) -> None:
        self._until_the_disk_takes_it(self.stage.flush_due)

    def _until_the_disk_takes_it(self, work: Callable[[], Iterable[Batch]]) -> None:
        """Inserts what the stage yields; a full disk or too many open files are waited for, as an absent store is."""
        pause = _MIN_PAUSE_S
        while not self._stop.is_set():
            try:
                self._put(work())
            except OSError as error:
                self._report(error, pause)
                self._stop.wait(pause)
                pause = min(2 * pause, _MAX_PAUSE_S)
            else:
                if pause > _MIN_PAUSE_S:  # it failed before
                    self.last_error = ""
                return

    def _process(self, path: Path) -> None:
        """Hands a segment to the stage; one that the stage fails on again and again goes in as it is."""
        segment = self._read(path)
        if segment is None:
            return
        try:
            self._until_the_disk_takes_it(lambda: self.stage.process(path.stem, segment))
        except Exception:
            self._stage_tries += 1
            if self._stage_tries < _STAGE_TRIES:
                raise
            self.stage_failures += 1
            logger.exception("%s goes in unsampled: the sampler fails on it", path.name)
            self._telemetry.add("stage_failures_total", 1, log=self._log.name)
            self._put(KeepAll().process(path.stem, segment))
        self._stage_tries = 0

    def _read(self, path: Path) -> bytes | None:
        """The segment; None when somebody deleted it, or when told to stop before it could be read."""
        while not self._stop.is_set():
            try:
                return path.read_bytes()
            except FileNotFoundError:
                self._log.lost(path)
                return None
            except OSError as error:  # too many open files
                self._report(error, _MAX_PAUSE_S)
                self._stop.wait(_MAX_PAUSE_S)
        return None

    def _put(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            if batch.content and not self._insert_batch(batch):
                return  # told to stop: the segments stay in the log
            for name in batch.releases:
                self._log.done(name)

    def _insert_batch(self, batch: Batch) -> bool:
        """Whether every record of the batch is in the store or set aside; False when told to stop before that."""
        self._look_ahead -= self._look_ahead > 0
        if self._strict is None or not self._look_ahead or not self._strict.is_needed(batch.content):
            refusal = self._inserted(batch.content, batch.token)
            if refusal is None:
                return not self._stop.is_set()
            if not (isinstance(refusal, QueryError) and refusal.code == NESTED_VALUE_ERROR_CODE):
                return self._reencode_and_insert(batch)
        self._look_ahead = _LOOK_AHEAD
        return self._reencode_and_insert(batch)

    def _reencode_and_insert(self, batch: Batch) -> bool:
        """Inserts what the strict encoder writes: nearly everything that a strict reader trips over is gone."""
        records = list(framing.records(batch.content))
        if self._strict is not None:
            records = [self._strict.rewrite(record) for record in records]
        return self._bisect_insert(records, f"{batch.token}-anew")

    def _bisect_insert(self, records: list[framing.Record], token: str) -> bool:
        """Inserts the records in halves of halves, until those are alone that cannot be inserted for what is in them."""
        refusal = self._inserted(b"".join(piece for record in records for piece in framing.frame(*record)), token)
        if refusal is None:
            return not self._stop.is_set()
        if len(records) == 1:
            return self._set_aside(records[0], refusal)
        middle = len(records) // 2
        return self._bisect_insert(records[:middle], f"{token}0") and self._bisect_insert(records[middle:], f"{token}1")

    def _inserted(self, content: bytes, token: str) -> Exception | None:
        """Inserts, as often as it takes; returns the refusal when it is about the data, None also when told to stop."""
        pause, tries = _MIN_PAUSE_S, 0
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                self._insert(content, token)
            except Exception as error:  # noqa: BLE001 - whatever it is, the segment must not be lost and the thread not end
                kind = classify(error)
                tries += kind is Refusal.UNKNOWN and self._is_answering()
                if kind is Refusal.DATA or tries >= _TRIES:
                    return error
                self._report(error, pause)
                self._stop.wait(pause)
                pause = min(2 * pause, _MAX_PAUSE_S)
            else:
                self.last_error = ""
                self._telemetry.observe("insert_duration_seconds", time.monotonic() - started, log=self._log.name)
                self._telemetry.add("insert_segments_total", 1, log=self._log.name)
                return None
        return None

    def _is_answering(self) -> bool:
        """Whether the store does what it should with other things: then the error is about this batch."""
        try:
            return self._store_answers()
        except Exception:  # noqa: BLE001 - an answer, too
            return False

    def _report(self, error: Exception, pause: float) -> None:
        if str(error) != self.last_error:
            logger.warning("insert of %s failed, retrying in %.2g s: %s", self._log.name, pause, error)
        self.last_error = str(error) or type(error).__name__
        self._telemetry.add("insert_failures_total", 1, log=self._log.name)

    def _set_aside(self, record: framing.Record, refusal: Exception) -> bool:
        """Puts the record into the quarantine; False when told to stop before there was room for it."""
        reason = f"{type(refusal).__name__}: {refusal}"
        while not self._stop.is_set():
            try:
                self._quarantine.set_aside(record, reason)
            except OSError as error:
                self._report(error, _MAX_PAUSE_S)
                self._stop.wait(_MAX_PAUSE_S)
            else:
                self.last_error = ""
                return True
        return False
