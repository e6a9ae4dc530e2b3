"""Alerts: rules over named queries, evaluated beside the service; people and machines are notified."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiohttp import web

from ...errors import EvalspanError
from .config import AlertRule, AlertsConfig, SinkConfig
from .load import load_rules, persist_rules, validate
from .sinks import Sink
from .trial import try_rule
from .watcher import Watcher

if TYPE_CHECKING:
    from ...queries.host import Host
    from ..config import Config

_log = logging.getLogger(__name__)
DRAIN_S = 5.0


def attach(app: web.Application, host: Host, config: Config) -> None:
    """Evaluates while the service runs. A rule that cannot work is off, with file, line and reason; the others go on."""
    if not config.alerts.enabled:
        return
    running: list[Watcher] = []

    async def run(_: web.Application) -> AsyncIterator[None]:
        try:
            rules, sink_configs, problems = await asyncio.to_thread(load_rules, config, host.store)
        except EvalspanError as error:
            _log.error("conditions of rules are not checked: %s", error)
            rules, sink_configs, problems = load_rules(config, None)
        for problem in problems:
            _log.error("%s", problem)
        host.telemetry.gauge("alert_rules_off", lambda: len(problems))
        try:
            await asyncio.to_thread(persist_rules, host.store, rules, problems, host.clock.now())
        except EvalspanError as error:
            # A table that cannot be read costs the alerts' memory, not the service.
            _log.error("the rules are evaluated, but not kept in the store: %s", error)
        sinks = [Sink(sink, host.telemetry.add) for sink in sink_configs]
        watcher = Watcher(
            host.store,
            rules,
            sinks,
            host.telemetry,
            base_url=lambda: host.address,
            clock=host.clock,
        )
        running.append(watcher)
        keep = host.supervisor.keep_running
        tasks = [asyncio.create_task(keep("alerts", watcher.run))]
        tasks += [asyncio.create_task(keep(f"sink {sink.config.name}", sink.run)) for sink in sinks]
        yield
        tasks[0].cancel()
        await asyncio.gather(*(sink.drain(DRAIN_S) for sink in sinks))
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def trial(request: web.Request) -> web.Response:
        if not host.keys.is_service(request.headers.get("Authorization")):
            return web.json_response({"message": "rules are tested with the token of service.json"}, status=403)
        name, send = request.match_info["rule"], request.query.get("send") == "1"
        try:
            return web.json_response(await try_rule(running[0], name, host.clock.now(), send=send))
        except EvalspanError as error:
            return web.json_response({"message": str(error), "hint": error.hint}, status=400)

    app.cleanup_ctx.append(run)
    app.router.add_post("/api/v1/alerts/{rule}/test", trial)


__all__ = ["AlertRule", "AlertsConfig", "SinkConfig", "attach", "load_rules", "persist_rules", "validate"]
