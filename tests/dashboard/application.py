"""The pages over a store, in this process: for tests of what an address answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from evalspan.dashboard import routes
from evalspan.dashboard.config import DashboardConfig
from evalspan.queries.host.limits import Deadlines, ProjectShares
from evalspan.queries.host.origin import TrustedProxies


def with_pages(store: Any, told: Callable[[Any], Awaitable[None]], **settings: Any) -> None:
    """Runs `told` with a client of the pages, under these settings of `[dashboard]`."""

    async def run() -> None:
        app, keys = web.Application(), SimpleNamespace(open=True, access=lambda *_: None)
        host: Any = SimpleNamespace(
            store=store, keys=keys, shares=ProjectShares(), proxies=TrustedProxies(), deadlines=Deadlines(), address="", public_url="", http_url=""
        )  # fmt: skip
        routes.build(app, host, DashboardConfig(**settings))
        async with TestClient(TestServer(app), auto_decompress=False) as client:
            await told(client)

    asyncio.run(run())
