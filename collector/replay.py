"""What was set aside goes into the log again, and calls without a cost get one: POST /api/v1/replay, /api/v1/reprice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from aiohttp import web

from ..errors import EvalspanError
from ..queries.host.auth import KeyRing
from .log.durable import DurableLog, LogRefused
from .log.quarantine import forget, set_aside_records


def add_replay_route(app: web.Application, directory: Path, logs: Mapping[str, DurableLog], keys: KeyRing) -> None:
    """Adds the route; it is for the owner's token only. `directory` is that of the logs."""

    async def replay(request: web.Request) -> web.Response:
        if not keys.is_service(request.headers.get("Authorization")):
            return web.json_response({"message": "records are replayed with the token of service.json"}, status=403)
        wanted = request.query.get("signal", "")
        replayed = dict.fromkeys(logs, 0)
        for one in list(set_aside_records(directory)):
            log = logs.get(one.signal)
            if log is None or wanted not in ("", one.signal):
                continue
            try:
                await log.append(one.record.body, one.project)
            except LogRefused as error:
                return web.json_response({"replayed": replayed, "message": str(error)}, status=503)
            forget(one)  # it is durable in the log; set aside again if it still cannot be inserted
            replayed[one.signal] += 1
        return web.json_response({"replayed": replayed})

    app.router.add_post("/api/v1/replay", replay)


def add_reprice_route(app: web.Application, reprice: Callable[[int], int], keys: KeyRing) -> None:
    """Adds the route; it is for the owner's token only. `reprice` takes how many seconds back and says how many calls."""

    async def price_again(request: web.Request) -> web.Response:
        if not keys.is_service(request.headers.get("Authorization")):
            return web.json_response({"message": "calls are priced with the token of service.json"}, status=403)
        seconds = request.query.get("seconds", "")
        if not seconds.isdecimal():
            return web.json_response({"message": "seconds is a whole number"}, status=400)
        try:
            count = await asyncio.to_thread(reprice, int(seconds))
        except EvalspanError as error:
            return web.json_response({"message": str(error)}, status=503)
        return web.json_response({"repriced": count})

    app.router.add_post("/api/v1/reprice", price_again)
