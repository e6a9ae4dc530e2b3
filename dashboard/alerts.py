"""The alerts: rules with their state, what fired when and why; silence one, or see what its query says now."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from ..errors import StoreError, UsageError
from ..queries import catalog
from ..queries.alert_rules import silence
from ..queries.conditions import matching
from ..queries.durations import parse_duration
from . import guard
from .filters import stamp
from .labels import redirect
from .page_context import PageContext, Rows, handle_errors, page, page_context
from .template_filters import aware

SHOWN_ROWS = 50
SHOWN = timedelta(days=14)
"""How far back the line of each rule reaches."""
SILENCES = {"1h": "1 hour", "8h": "8 hours", "3d": "3 days", "7d": "7 days"}


async def _show(context: PageContext) -> dict[str, Any]:
    rule = context.params.get("rule", "")
    now = datetime.now(UTC)
    rules, fired, times = await asyncio.gather(
        context.query("pages/alert_rules"),
        context.query("pages/alerts", rule=rule),
        context.query("pages/alert_times", start=stamp(now - SHOWN), end=stamp(now)),
    )
    for one in rules:
        one["firing_intervals"] = firing_intervals([row for row in times if row["rule_id"] == one["rule_id"]], now)
    chosen = next((row for row in rules if row["rule_id"] == rule), None)
    return {
        "rules": rules,
        "tested": await _tested(context, chosen) if chosen and context.params.get("test") else None,
        "alerts": fired,
        "chosen": chosen,
        "silences": SILENCES,
        "firing": sum(row["state"] == "firing" for row in rules),
    }


def firing_intervals(times: Rows, now: datetime) -> list[dict[str, Any]]:
    """When a rule fired within what is shown, as places on a line from 0 to 100."""
    found = []
    for row in times:
        began, ended = (aware(row[end]) if row[end] else now for end in ("began", "ended"))
        x = max(0.0, 100 * (1 - (now - began) / SHOWN))
        width = max(0.8, min(100 - x, 100 * (ended - max(began, now - SHOWN)) / SHOWN))
        found.append({**row, "x": round(min(x, 99.2), 2), "width": round(width, 2)})
    return found


async def _tested(context: PageContext, rule: dict[str, Any]) -> dict[str, Any]:
    """What the rule's question answers now: the rows that would make it fire."""
    about = {"name": rule["name"], "condition": rule["condition"], "columns": [], "rows": [], "error": ""}
    try:
        given = json.loads(rule["parameters"] or "{}")
        known = {parameter.name for parameter in catalog.get(rule["query"]).parameters}
        given |= {"project": rule["project"]} if "project" in known and "project" not in given else {}
        found = await asyncio.to_thread(matching, context.host.store, rule["query"], rule["condition"], given)
    except (StoreError, UsageError, ValueError) as error:
        return {**about, "error": f"Cannot evaluate the rule: {error}"}
    return {**about, "columns": found.columns, "rows": [list(row) for row in found.rows[:SHOWN_ROWS]]}


async def _silence(request: web.Request) -> web.StreamResponse:
    """Silences a rule for a while, or wakes it."""
    context, form = page_context(request), await request.post()
    length = str(form.get("for", ""))
    until = datetime.now(UTC) + parse_duration(length) if length else None
    if until is not None and until - datetime.now(UTC) > timedelta(days=31):
        raise UsageError("An alert is silenced for a month at most.", hint="Disable the rule instead.")
    rule, project = request.match_info["rule"], context.filters.project
    await asyncio.to_thread(silence, context.host.store, rule, until, project)
    return redirect(context.filters.url("/alerts"))


alerts = page("/alerts", "alerts.html", "Alerts")(_show)
routes = [*alerts.routes(), web.post("/alerts/{rule}/silence", guard.protect(handle_errors(_silence)))]
