"""POST /api/v1/rows/{table} and /api/v1/erase: how commands write while this service owns the store; for its owner's token only."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from ...errors import EvalspanError
from ...queries.erase import erase_user
from ...queries.host.auth import KeyRing
from ...queries.store.client import Store
from .rejection import INVALID_ARGUMENT, PERMISSION_DENIED, UNAVAILABLE

TABLES = (
    "evaluations",
    "examples",
    "experiments",
    "experiment_results",
    "alert_rules",
    "alerts",
    "cursors",
    "drift_references",
    "evaluator_rubrics",
    "model_prices",
)


class _Erase(msgspec.Struct, frozen=True):
    user: str
    project: str


def add_rows_route(app: web.Application, store: Store, keys: KeyRing) -> None:
    """Adds the route; its body is one JSON object a line (ClickHouse's JSONEachRow)."""

    async def insert(request: web.Request) -> web.Response:
        table = request.match_info["table"]
        if not keys.is_service(request.headers.get("Authorization")):
            return _refused(403, PERMISSION_DENIED, "rows are written with the token of service.json")
        if table not in TABLES:
            return _refused(404, INVALID_ARGUMENT, f"rows go into {', '.join(TABLES)}; there is no {table!r}")
        try:
            rows = [msgspec.json.decode(line, type=dict) for line in (await request.read()).splitlines() if line]
            await asyncio.to_thread(store.insert, table, rows)
        except msgspec.DecodeError as error:
            return _refused(400, INVALID_ARGUMENT, f"one JSON object a line: {error}")
        except EvalspanError as error:
            status = 400 if error.exit_code == 2 else 503
            return _refused(status, INVALID_ARGUMENT if status == 400 else UNAVAILABLE, f"{error} {error.hint}".strip())
        return web.json_response({"inserted": len(rows)})

    async def erase(request: web.Request) -> web.Response:
        if not keys.is_service(request.headers.get("Authorization")):
            return _refused(403, PERMISSION_DENIED, "rows are deleted with the token of service.json")
        try:
            asked = msgspec.json.decode(await request.read(), type=_Erase)
            erased = await asyncio.to_thread(erase_user, store, asked.user, asked.project)
        except msgspec.DecodeError as error:
            return _refused(400, INVALID_ARGUMENT, f'a JSON object with "user" and "project": {error}')
        except EvalspanError as error:
            return _refused(400 if error.exit_code == 2 else 503, INVALID_ARGUMENT, f"{error} {error.hint}".strip())
        return web.Response(body=msgspec.json.encode(erased), content_type="application/json")

    app.router.add_post("/api/v1/rows/{table}", insert)
    app.router.add_post("/api/v1/erase", erase)


def _refused(status: int, code: int, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message}, status=status)
