"""The alerts: rules with their state, what fired when and why; silence one, or see what its query says now."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from ..errors import StoreError, UsageError
from ..evaluators.drift.units import unit_of
from ..queries import catalog
from ..queries.alert_rules import silence
from ..queries.conditions import matching
from ..queries.durations import parse_duration
from . import guard
from .filters import stamp
from .labels import redirect
from .page_context import PageContext, Rows, handle_errors, page, page_context
from .template_filters import aware, iso, money, number, share, span_time

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
    rule_of = {one["rule_id"]: one for one in rules}
    for one in rules:
        one["watched"] = watched(context, one)
    for one in fired:
        given = parameters_of(rule_of.get(one["rule_id"], {}))
        one |= {**shown_number(one, given), "traces": traces_of(context, one, given)}
    chosen = rule_of.get(rule)
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


LABELS = {"request_model": "model", "response_model": "response_model", "error_type": "error", "prompt_version": "", "service": "", "environment": ""}  # fmt: skip
"""Labels of alerts as keys of filters; an empty one is a filter of every page, or needs more than the label says."""


def traces_of(context: PageContext, alert: dict[str, Any], given: dict[str, Any]) -> str:
    """The address of the traces that an alert is about: its window, metric, service and labels, not its time alone."""
    labels = alert["labels"]
    metric = labels.get("metric") or str(given.get("metric") or "")
    params: dict[str, Any] = {"since": "", "from": iso(alert["window_from"]), "to": iso(alert["window_to"])}
    if metric == "error_rate" or given.get("query") == "usage_trend":
        params["status"] = "ERROR"
    elif metric in {"latency", "ttft"}:
        params["sort"] = "duration"
    elif metric in {"cost", "input_tokens", "output_tokens"}:
        params["sort"] = "cost"
    elif metric:
        params["failed"] = metric
    for name in ("service", "environment"):
        if value := labels.get(name) or given.get(name):
            params[name] = str(value)
    where = [f"{LABELS.get(key, key) or key}={value}" for key, value in labels.items() if key not in {"metric", "service", "environment", "evaluator_version"} and value]  # fmt: skip
    return context.filters.url(
        "/traces", **params, where=[text.replace("prompt_version=", "version=") for text in where]
    )


def shown_number(alert: dict[str, Any], given: dict[str, Any]) -> dict[str, str]:
    """An alert's number and what it is compared with, in the unit that people think in."""
    of, metric = str(given.get("of") or "evaluations"), alert["labels"].get("metric") or str(given.get("metric") or "")
    told = {}
    for name, column in (("number", "value"), ("number_before", "baseline")):
        value = alert[column]
        told[name] = "" if value is None or not math.isfinite(value) else _in_unit(unit_of(of, metric), value)
    return told


def _in_unit(unit: str, value: float) -> str:
    if unit == "ms":
        return span_time(value * 1e6)
    if unit == "$":
        return money(value)
    if unit.startswith("share"):
        return share(value)
    return f"{number(value)} {unit}".strip()


def watched(context: PageContext, rule: dict[str, Any]) -> str:
    """The address of what a rule asks, with the rule's own parameters."""
    given = parameters_of(rule)
    values = {f"p_{name}": str(value) for name, value in given.items()}
    return context.filters.url("/sql", named=rule["query"], run="1", **{"p_project": rule["project"], **values})


def parameters_of(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule's parameters; none when they cannot be read."""
    try:
        value = json.loads(rule.get("parameters") or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


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
