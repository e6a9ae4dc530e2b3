"""The live list as server-sent events: rows of new traces, drawn as the list draws them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from aiohttp import web

from ..errors import StoreError
from ..queries.http.access import ACCESS
from . import guard
from .filters import stamp
from .page_context import PageContext, handle_errors, page_context
from .prefix import under_prefix
from .template_filters import environment
from .traces import arrivals, columns

LISTENERS: web.AppKey[set[asyncio.Task[None]]] = web.AppKey("dashboard_listeners")
PERIOD_S = 1.0
# A row may become queryable a little after a younger one: each query reaches back, what was sent is remembered.
REACH_BACK = timedelta(seconds=15)
MAX_AT_ONCE = 30


async def _live(request: web.Request) -> web.StreamResponse:
    page_context(request)  # an address that cannot be read is refused before the stream begins
    with request.app[guard.GUARD].shares.live_listeners.held(request[ACCESS].holder):
        return await _stream(request)


async def _stream(request: web.Request) -> web.StreamResponse:
    listeners = request.app[LISTENERS]
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
            **guard.HEADERS,
        }
    )
    await response.prepare(request)
    await response.write(b": listening\n\n")
    task = asyncio.ensure_future(_follow(request, response))
    listeners.add(task)
    try:
        await task
    except (ConnectionResetError, asyncio.CancelledError):
        task.cancel()
    finally:
        listeners.discard(task)
    return response


async def _follow(request: web.Request, response: web.StreamResponse) -> None:
    began = datetime.now(UTC) - timedelta(seconds=2)
    sent: dict[str, float] = {}
    while True:
        await asyncio.sleep(PERIOD_S)
        if guard.has_ended(request):
            return
        context = page_context(request)
        after = max(began, datetime.now(UTC) - REACH_BACK)
        try:
            rows = await arrivals(context, stamp(after), MAX_AT_ONCE)
        except StoreError:
            # The store is closing or busy: the next query may succeed, and the list itself says when it is gone.
            rows = []
        loop_time = asyncio.get_running_loop().time()
        for row in reversed(rows):
            if row["trace_id"] not in sent:
                await response.write(_event(context, row))
            sent[row["trace_id"]] = loop_time
        sent = {key: at for key, at in sent.items() if at > loop_time - 4 * REACH_BACK.total_seconds()}
        if not rows:
            await response.write(b": waiting\n\n")


def _event(context: PageContext, row: dict[str, object]) -> bytes:
    html = (
        environment()
        .get_template("traces_row.html")
        .render(trace=row, filters=context.filters, tz=context.filters.zone, columns=columns(context))
    )
    lines = "".join(
        f"data: {line}\n" for line in under_prefix(html, context.config.prefix).splitlines() if line.strip()
    )
    return f"{lines}\n".encode()


async def stop_listening(app: web.Application) -> None:
    """Ends the open live lists, so that the service can stop."""
    listeners: set[asyncio.Task[None]] = app[LISTENERS]
    for task in list(listeners):
        task.cancel()


routes = [web.get("/traces/live", guard.protect(handle_errors(_live)))]
