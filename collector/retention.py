"""Keeps the store within `[retention]`: looks once an hour for partitions that are old enough to go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiohttp import web

from ..errors import EvalspanError
from ..queries.host.supervision import State
from ..queries.store.retention import drop_old

if TYPE_CHECKING:
    from ..queries.host import Host

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
    while True:
        try:
            dropped = await asyncio.to_thread(drop_old, host.store, host.retention)
        except EvalspanError as error:
            # The rows stay an hour longer; the next look tries again.
            logger.warning("old rows could not be dropped: %s", error)
            host.supervisor.set_state("retention", State.WARNING, str(error))
        else:
            host.supervisor.set_state("retention", State.OK)
            for partition in dropped:
                host.telemetry.add("retention_rows_dropped_total", partition.rows, table=partition.table)
                logger.info(
                    "dropped %d old rows of %s, partition %s", partition.rows, partition.table, partition.partition
                )
        await asyncio.sleep(EVERY_S)
