"""Keeps the store within `[retention]`: looks once an hour for partitions that are old enough to go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from ..errors import EvalspanError
from ..queries.host.supervision import State
from ..queries.store.retention import Dropped, drop_old, newest_moment, save_moment
from .believed_clock import BelievedClock

if TYPE_CHECKING:
    from ..queries.host import Host
    from ..queries.store.client import Store
    from ..queries.store.config import RetentionConfig

logger = logging.getLogger(__name__)

EVERY_S = 3600


def attach(app: web.Application, host: Host) -> None:
    """Starts and stops the task with the application."""

    async def running(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(host.supervisor.keep_running("retention", lambda: _keep(host)))
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    app.cleanup_ctx.append(running)


async def _keep(host: Host) -> None:
    keeper = Keeper(host.store, host.retention)
    while True:
        try:
            dropped = await asyncio.to_thread(keeper.look)
        except EvalspanError as error:
            # The rows stay an hour longer; the next look tries again.
            logger.warning("old rows could not be dropped: %s", error)
            host.supervisor.set_state("retention", State.WARNING, str(error))
        else:
            if keeper.problem:
                logger.warning("retention: %s", keeper.problem)
            host.supervisor.set_state("retention", State.WARNING if keeper.problem else State.OK, keeper.problem)
            for partition in dropped:
                host.telemetry.add("retention_rows_dropped_total", partition.rows, table=partition.table)
                logger.info(
                    "dropped %d old rows of %s, partition %s", partition.rows, partition.table, partition.partition
                )
        await asyncio.sleep(EVERY_S)


class Keeper:
    """Drops what is old by a time that is not moved by somebody who sets the clock."""

    def __init__(
        self,
        store: Store,
        config: RetentionConfig,
        *,
        clock: type[BelievedClock] | partial[BelievedClock] = BelievedClock,
    ) -> None:
        self._store, self._config, self._new_clock = store, config, clock
        self._clock: BelievedClock | None = None
        self.problem = ""
        """Why nothing is dropped by the machine's time, "" when it is."""

    def look(self) -> list[Dropped]:
        """Drops what is old now, and remembers which time that was. Raises QueryError, StoreUnreachable."""
        if self._clock is None:
            self._clock = self._new_clock(*newest_moment(self._store))
        now = self._clock.look()
        self.problem = self._clock.problem
        dropped = drop_old(self._store, self._config, now=now)
        save_moment(self._store, now, self._clock.watched_since)
        return dropped
