"""The overview: what needs somebody in one sentence, four charts on one time axis, the services against a week before."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from . import guard
from .explore import mean_interval, wilson
from .filters import stamp
from .findings import findings_of
from .page_context import PageContext, Rows, handle_errors, page, page_context, render
from .scores import bucket
from .traces import nothing_at_all

WEEK = timedelta(days=7)
POINTS = 48
MAX_SERVICES = 200
"""The busiest; a table of more helps nobody."""


async def _show(context: PageContext) -> dict[str, Any]:
    filters = context.filters
    end = min(filters.end, datetime.now(UTC))
    size = bucket(end - filters.start, POINTS)
    back = max(WEEK, end - filters.start)
    before = {"before_start": stamp(filters.start - back), "before_end": stamp(end - back)}
    trend, services, scores = await asyncio.gather(
        context.query("pages/overview_trend", bucket_s=size),
        context.query("pages/overview_services", **before),
        context.query("pages/overview_scores", **before),
    )
    days = max((end - filters.start) / timedelta(days=1), 1 / 24)
    return {
        "trend": [_point(row) for row in trend if row["whole"]],
        "services": _services(services, scores, trend, days),
        "back_days": round(back / timedelta(days=1)),
        "nothing": not trend,
        "waiting": not trend and await nothing_at_all(context),
    }


def _point(row: dict[str, Any]) -> dict[str, Any]:
    """A point of the charts, its shares with intervals."""
    rate = row["failed"] / row["traces"] if row["traces"] else None
    low, high = wilson(rate, row["effective_traces"]) if rate is not None else (None, None)
    calls = row["call_errors"] / row["calls"] if row["calls"] else None
    return {**row, "error_rate": rate, "error_low": low, "error_high": high, "call_error_rate": calls}


def _services(services: Rows, scores: Rows, trend: Rows, days: float) -> list[dict[str, Any]]:
    """The busiest services, each with what it was before, its worst score and its traces over time."""
    before = {row["value"]: row for row in services if not row["late"]}
    times = sorted({row["time"] for row in trend})
    per_time: dict[str, dict[datetime, float]] = {}
    for point in trend:
        if not point["whole"]:
            per_time.setdefault(point["value"], {})[point["time"]] = point["traces"]
    judged: dict[str, Rows] = {}
    for row in scores:
        judged.setdefault(row["value"], []).append(row)
    found = []
    for row in [row for row in services if row["late"]][:MAX_SERVICES]:
        old = before.get(row["value"], {})
        rate = row["failed"] / row["traces"] if row["traces"] else None
        traces = per_time.get(row["value"], {})
        found.append(
            {
                **row,
                "error_rate": rate,
                "error": wilson(rate, row["effective_traces"]) if rate is not None else None,
                "error_before": old["failed"] / old["traces"] if old.get("traces") else None,
                "p95_before": old.get("p95_ms"),
                "traces_before": old.get("traces"),
                "cost_per_day": row["cost_usd"] / days,
                "cost_before": old["cost_usd"] / days if old else None,
                "worst": _worst(judged.get(row["value"], [])),
                "spark": [traces.get(time, 0) for time in times],
            }
        )
    return found


def _worst(scores: Rows) -> dict[str, Any] | None:
    """Of the scores of a service the one that got worse most, else the one that fails most."""
    own = [row for row in scores if row["late"]]
    old = {(row["name"], row["unit"]): row for row in scores if not row["late"]}
    rated = [
        {
            **row,
            **dict(zip(("low", "high"), mean_interval(row), strict=True)),
            "before": old.get((row["name"], row["unit"]), {}).get("mean"),
        }
        for row in own
    ]
    for row in rated:
        up, down = (
            row["before"] is not None and row["low"] > row["before"],
            row["before"] is not None and row["high"] < row["before"],
        )
        row["worse"] = up if row["lower_is_better"] else down
    worse = [row for row in rated if row["worse"]]
    if worse:
        return max(worse, key=lambda row: abs(row["mean"] - row["before"]))
    return max(rated, key=lambda row: row["failed"], default=None)


async def _needs(request: web.Request) -> web.StreamResponse:
    """The sentence on top: looked for after the page stands."""
    context = page_context(request)
    found = await findings_of(context)
    lasting, over = [one for one in found if one.lasting], [one for one in found if not one.lasting]
    return render(context, "overview_needs.html", title="What needs you", lasting=lasting, over=over)


async def _needs_json(request: web.Request) -> web.StreamResponse:
    found = await findings_of(page_context(request))
    rows = [
        {"kind": one.kind, "metric": one.metric, "service": one.service, "since": one.since.isoformat(), "before": one.before,
         "after": one.after, "lasting": one.lasting, "cause": one.cause, "sentence": one.sentence(), "url": one.address}
        for one in found
    ]  # fmt: skip
    return web.json_response({"data": {"findings": rows}})


overview = page("/overview", "overview.html", "Overview")(_show)
routes = [
    *overview.routes(),
    web.get("/overview/needs", guard.protect(handle_errors(_needs))),
    web.get("/overview/needs.json", guard.protect(handle_errors(_needs_json))),
]
