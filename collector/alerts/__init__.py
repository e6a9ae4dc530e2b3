"""Alerts: rules over named queries, watched beside the service, told to people and machines."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ...queries.store.client import Store
from .config import AlertRule, AlertsConfig, Problem, SinkConfig, place, read_rules, read_sinks
from .sinks import Sink
from .watcher import Watcher, refused

if TYPE_CHECKING:
    from aiohttp import web

    from ...queries.host import Host
    from ..config import Config

_log = logging.getLogger(__name__)
DRAIN_S = 5.0


def attach(app: web.Application, host: Host, config: Config) -> None:
    """Watches while the service runs. A rule that cannot work is off, with file, line and reason; the others watch."""
    if not config.alerts.enabled:
        return

    async def run(_: web.Application) -> AsyncIterator[None]:
        rules, sinks, problems = await asyncio.to_thread(ready, config, host.store)
        for problem in problems:
            _log.error("%s", problem)
        host.telemetry.gauge("alert_rules_off", lambda: len(problems))
        await asyncio.to_thread(remember, host.store, rules, problems)
        tellers = [Sink(sink, host.telemetry.add) for sink in sinks]
        watcher = Watcher(
            host.store,
            rules,
            tellers,
            host.telemetry,
            link=lambda trace: f"{host.http_url}/traces/{trace}",
            clock=host.clock,
        )
        tasks = [asyncio.create_task(watcher.run()), *(asyncio.create_task(teller.run()) for teller in tellers)]
        tasks[0].add_done_callback(_say_if_it_died)
        yield
        tasks[0].cancel()
        await asyncio.gather(*(teller.drain(DRAIN_S) for teller in tellers))
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    app.cleanup_ctx.append(run)


def ready(config: Config, store: Store | None) -> tuple[list[AlertRule], list[SinkConfig], list[Problem]]:
    """The rules and sinks that can work, and the problems of the others; without a store conditions stay unchecked."""
    origin = config.origin("alerts", "rules").rpartition(":")[0]
    path = Path(origin) if origin else None
    sinks, sink_problems = read_sinks(config.alerts, path)
    rules, problems = read_rules(config.alerts, path)
    rules, off = refused(rules, store, [sink.name for sink in sinks])
    written = [str(values.get("name")) for values in config.alerts.rules]
    problems += [
        msgspec.structs.replace(
            one, where=place(path, "rules", written.index(one.name), one.where) if one.name in written else "built-in"
        )
        for one in off
    ]
    return rules, sinks, [*sink_problems, *problems]


def remember(store: Store, rules: list[AlertRule], problems: list[Problem]) -> None:
    """Writes the rules where `evalspan alert list` and the dashboard look; silences stay."""
    from ...queries import catalog

    before = {(row["project"], row["rule"]): row for row in catalog.get("alert_overview").run(store).dicts()}
    rows = [
        {
            "project": rule.project,
            "rule_id": rule.name,
            "name": rule.name,
            "kind": "telemetry" if rule.telemetry else "query",
            "query": rule.query or rule.telemetry,
            "parameters": rule.parameters,
            "condition": rule.condition,
            "severity": rule.severity,
            "interval_s": int(max(1, rule.every_s)),
            "enabled": True,
            "silenced_until": before.get((rule.project, rule.name), {}).get("silenced_until"),
        }
        for rule in rules
    ]
    rows += [
        {"rule_id": one.name, "name": one.name, "kind": str(one), "severity": "high", "enabled": False}
        for one in problems
    ]
    here = {(row.get("project", "default"), row["rule_id"]) for row in rows}
    rows += [{"project": p, "rule_id": r, "is_deleted": 1} for p, r in before if (p, r) not in here]
    store.insert("alert_rules", rows)


def _say_if_it_died(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.critical("the alert watcher died: %s", task.exception())


__all__ = ["AlertRule", "AlertsConfig", "Problem", "SinkConfig", "attach", "ready", "remember"]
