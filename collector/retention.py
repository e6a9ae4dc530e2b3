"""Keeps the store within `[retention]`: looks once an hour for partitions that are old enough to go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiohttp import web

from ..instrument.errors import EvalspanError
from ..queries.retention import drop_old

if TYPE_CHECKING:
    from .service import Service

logger = logging.getLogger(__name__)

EVERY_S = 3600


def attach(app: web.Application, service: Service) -> None:
    """Starts and stops the task with the application."""

    async def running(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(_keep(service))
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    app.cleanup_ctx.append(running)


async def _keep(service: Service) -> None:
    while True:
        try:
            dropped = await asyncio.to_thread(drop_old, service.store, service.config.retention)
        except EvalspanError as error:
            # The rows stay an hour longer; the next look tries again.
            logger.warning("old rows could not be dropped: %s", error)
        else:
            for partition in dropped:
                service.telemetry.add("retention_rows_dropped", partition.rows, table=partition.table)
                logger.info(
                    "dropped %d old rows of %s, partition %s", partition.rows, partition.table, partition.partition
                )
        await asyncio.sleep(EVERY_S)
