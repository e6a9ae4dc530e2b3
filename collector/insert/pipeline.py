"""A durable log with the inserter behind it: what is acknowledged goes in here and comes out in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from ...queries.host.supervision import Supervisor
from ...queries.host.telemetry import Telemetry
from ..log.durable import DurableLog, LogLimits
from ..log.quarantine import Quarantine
from ..receivers.config import ReceiveConfig
from .inserter import Inserter, Stage, Strict


class Pipeline:
    """Started and stopped as one; `log` is the way in."""

    def __init__(
        self,
        name: str,
        directory: Path,
        limits: LogLimits,
        insert: Callable[[bytes, str], None],
        stage: Stage,
        telemetry: Telemetry,
        *,
        supervisor: Supervisor | None = None,
        strict: Strict | None = None,
        store_answers: Callable[[], bool] = lambda: False,
    ) -> None:
        supervisor = supervisor or Supervisor(telemetry.add)
        self.log = DurableLog(directory / name, limits, telemetry, name, supervisor)
        self._is_open = False
        self.quarantine = Quarantine(directory, name, telemetry)
        self.inserter = Inserter(
            self.log,
            insert,
            telemetry,
            stage,
            self.quarantine,
            supervisor,
            strict=strict,
            store_answers=store_answers,
        )
        telemetry.gauge(f"log_backlog_bytes_{name}", lambda: self.log.backlog_bytes)

    def open(self) -> None:
        """Recovers the log, which takes records from now on; needs a running event loop."""
        self.log.open()
        self._is_open = True

    def start(self) -> None:
        """Begins to insert; opens the log unless `open` did."""
        if not self._is_open:
            self.open()
        self.inserter.start()

    async def stop(self, drain_s: float) -> bool:
        """Closes the log and waits until it is in the store, at most so many seconds; returns whether all went in."""
        await self.log.close()
        drained = await asyncio.to_thread(self.inserter.stop, drain_s)
        if drained:
            await self.log.forget()
        return drained


def limits_of(receive: ReceiveConfig, *, store_is_embedded: bool) -> LogLimits:
    """The log's limits as the settings say; a server answers itself for what it took."""
    return LogLimits(
        log_bytes=receive.log_bytes,
        segment_bytes=receive.segment_bytes,
        flush_s=receive.flush_ms / 1000,
        sync_s=receive.sync_ms / 1000,
        keep_s=receive.keep_inserted_s if store_is_embedded else 0,
    )
