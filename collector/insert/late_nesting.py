"""Calls inside calls that met in the store only: what came later than the collector remembers, or at another collector.

Looks at the traces that were inserted since the last time and decides by the same rule as the receiver. It takes at most
a fiftieth of a core: the longer a look took, the later the next one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from ...errors import EvalspanError
from ...queries.nesting import calls_said_twice, nested_traces, runs_fetched_again, spans_of
from ...queries.role_of_span import CALL, OTHER
from ...queries.roles import RoleChange, change_roles
from ..dialects.call_nesting import NATIVE, Trace, corrected, node_of_row

if TYPE_CHECKING:
    from ...queries.host import Host
    from ...queries.store.client import Store

_log = logging.getLogger(__name__)
EVERY_S = 2.0
_SHARE = 50
_SINCE_START_S = 3600.0  # what was stored by others, or by a process that was killed
_OVERLAP_S = 20.0  # an insert is seen after the time that its rows carry
_MOST_TRACES = 500
_APART_MS = 60_000  # so late may the other span of a call be stored


def attach(app: web.Application, host: Host, reprice: Callable[[int], int]) -> None:
    """Corrects roles while the service runs; `reprice` prices the calls without a cost that were stored in so many last seconds."""

    async def run(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(host.supervisor.keep_running("nesting", partial(_follow, host, reprice)))
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    app.cleanup_ctx.append(run)


async def _follow(host: Host, reprice: Callable[[int], int]) -> None:
    reached, pause = time.monotonic() - _SINCE_START_S, EVERY_S
    seen: tuple[int, int] | None = None
    while True:
        await asyncio.sleep(pause)
        began, written = time.monotonic(), host.store.changes
        if written is not None and written == seen:  # an idle service has nothing to correct
            reached = began
            continue
        try:
            changes = await asyncio.to_thread(correct, host.store, began - reached + _OVERLAP_S)
            if any(one.role == CALL for one in changes):  # what was stored as no call has no cost
                await asyncio.to_thread(reprice, 60)
        except EvalspanError as error:  # the next look reaches as far back
            _log.warning("calls inside calls are not looked for, for now: %s", error)
        else:
            reached, seen = began, None if changes else written
            host.telemetry.add("role_changes_total", len(changes))
        pause = max(EVERY_S, _SHARE * (time.monotonic() - began))


def correct(store: Store, window_s: float) -> list[RoleChange]:
    """
    Gives the spans of the traces that were stored in the last `window_s` the roles that the whole trace says; which
    were changed. Raises what the store raises.
    """
    milliseconds = int(window_s * 1000)
    twice = [*runs_fetched_again(store, milliseconds), *calls_said_twice(store, milliseconds + _APART_MS, list(NATIVE))]
    changes = [RoleChange(*span, role=OTHER) for span in twice]
    found = nested_traces(store, milliseconds, _MOST_TRACES)
    traces: dict[tuple[str, str], Trace] = defaultdict(dict)
    for row in spans_of(store, [trace_id for _, trace_id in found]) if found else ():
        traces[(row["project"], row["trace_id"])][bytes.fromhex(row["span_id"])] = node_of_row(row)
    for (project, trace_id), trace in traces.items():
        for span_id, loses in corrected(trace, trace.keys()):
            if loses != trace[span_id].has_lost:
                changes.append(RoleChange(project, trace_id, span_id.hex(), OTHER if loses else CALL))
    if changes:
        change_roles(store, changes)
    return changes
