"""The list of traces: newest first, live, with facets, search and the outliers above."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from typing import Any

from aiohttp import web

from . import guard
from .filters import stamp
from .page_context import PageContext, Rows, handle_errors, page, page_context, render

NARROW = ("name", "model", "operation", "version", "hash", "status", "error", "session", "user", "q", "attribute")
"""The parameters of the URL that narrow the list, besides `failed` and `slower_ms`."""
LOOK_BACK = (timedelta(hours=1), timedelta(hours=12), timedelta(days=3))
"""The newest rows are looked for in these windows first: on a busy store the first is enough."""
NOTHING = {"[]", "{}", "null"}
"""Outputs that say nothing: the list then shows why."""
BEFORE, AFTER = timedelta(hours=1), timedelta(hours=6)
"""How far the spans of one trace may lie from its entry to count in the list."""


def narrowed(context: PageContext) -> dict[str, Any]:
    """The list's own filters, as parameters of its queries."""
    query = context.params
    chosen: dict[str, Any] = {name: query.get(name, "") for name in NARROW}
    try:
        chosen["slower_ms"] = max(0.0, float(query.get("slower_ms") or 0))
    except ValueError:
        chosen["slower_ms"] = 0.0
    chosen["filtered"] = int(any(chosen.values()))
    chosen["failed"] = query.get("failed", "")
    return chosen


async def entries(context: PageContext, rows: int, *, every: int = 0) -> Rows:
    """The newest traces with totals and scores; `every` = 1 takes traces without a root, too."""
    chosen = narrowed(context)
    found: Rows = []
    for start in _starts(context):
        found = await context.query("pages/traces", **{**chosen, "rows": rows, "every": every, "start": start})
        if len(found) >= rows:
            break
    return await with_totals(context, found)


async def arrivals(context: PageContext, after: str, most: int) -> Rows:
    """The traces that were stored since `after`, with totals and scores."""
    every = int(context.params.get("every") == "1")
    found = await context.query("pages/traces", **narrowed(context), rows=most, every=every, after=after)
    return await with_totals(context, found)


def _starts(context: PageContext) -> list[str]:
    starts = [context.filters.end - back for back in LOOK_BACK]
    return [stamp(start) for start in starts if start > context.filters.start] + [stamp(context.filters.start)]


async def with_totals(context: PageContext, found: Rows) -> Rows:
    """Adds to each row what its whole trace holds and how it was judged."""
    if not found:
        return []
    ids = [row["trace_id"] for row in found]
    earliest = stamp(min(row["start_time"] for row in found) - BEFORE)
    latest = stamp(max(row["start_time"] for row in found) + AFTER)
    totals, scores = await asyncio.gather(
        context.query("pages/trace_totals", ids=ids, start=earliest, end=latest),
        context.query("pages/list_scores", ids=ids, start=earliest, end=latest),
    )
    total_of = {row["trace_id"]: row for row in totals}
    for row in found:
        row["output"] = "" if row["output"] in NOTHING else row["output"]
        row["total"] = total_of.get(row["trace_id"], {})
        row["scores"] = _worst(score for score in scores if score["trace_id"] == row["trace_id"])
    return found


def _worst(scores: Any) -> Rows:
    """One score a name for the list, a failed one before the others."""
    rank = {"fail": 0, "unknown": 1, "pass": 2}
    kept: dict[str, dict[str, Any]] = {}
    for score in sorted(scores, key=lambda score: rank[score["passed"]]):
        kept.setdefault(score["name"], score)
    return sorted(kept.values(), key=lambda score: (rank[score["passed"]], score["name"]))


async def _show(context: PageContext) -> dict[str, Any]:
    rows = context.config.rows
    found = await entries(context, rows)
    rootless = not found
    if rootless:
        # Spans whose root went to another collector are still worth a line each.
        found = await entries(context, rows, every=1)
    chosen = {
        name: value for name, value in context.params.items() if name in (*NARROW, "failed", "slower_ms") and value
    }
    waiting = not found and not chosen and await _nothing_at_all(context)
    return {
        "traces": found,
        "chosen": chosen,
        "waiting": waiting,
        "older": _older(context, found, rows),
        "rootless": int(rootless),
    }


def _older(context: PageContext, found: Rows, rows: int) -> str:
    if len(found) < rows:
        return ""
    kept = {
        **context.params,
        "since": "",
        "to": found[-1]["start_time"].isoformat(),
        "from": context.filters.start.isoformat(),
    }
    return context.filters.url("/traces", **kept)


async def _nothing_at_all(context: PageContext) -> bool:
    row = await context.first_row("pages/scopes", start="1970-01-01 00:00:00", end="2100-01-01 00:00:00")
    return not row.get("spans")


traces = page("/traces", "traces.html", "Traces")(_show)


async def _facets(request: web.Request) -> web.StreamResponse:
    """Facets and outliers, asked for by the page once it stands: they scan the whole range."""
    context = page_context(request)
    chosen = narrowed(context)
    facets, failing, points = await asyncio.gather(
        context.query("pages/trace_facets"),
        context.query("pages/failing"),
        context.query("pages/outliers", **chosen, every=0),
    )
    rows = facets + [{"facet": "failed", "value": row["name"], "n": row["n"]} for row in failing]
    return render(context, "traces_facets.html", title="Facets", facets=_grouped(rows), strip=_strip(points))


FACETS = {
    "status": "Status",
    "failed": "Failed evaluator",
    "model": "Model",
    "version": "Prompt version",
    "operation": "Operation",
    "error": "Error",
    "name": "Span",
}


def _grouped(rows: Rows) -> dict[str, tuple[str, Rows]]:
    grouped = {name: (title, [row for row in rows if row["facet"] == name]) for name, title in FACETS.items()}
    return {name: pair for name, pair in grouped.items() if pair[1]}


def _strip(points: Rows) -> list[dict[str, Any]]:
    """Where each trace lies: time across in per cent, logarithm of the duration up in pixels."""
    if len(points) < 3:
        return []
    first, last = points[0]["start_time"], points[-1]["start_time"]
    length = max((last - first).total_seconds(), 1e-3)
    logs = [math.log10(max(point["duration_ns"], 1e5)) for point in points]
    low, high = min(logs), max(*logs, min(logs) + 0.5)
    return [
        {
            **point,
            "x": round((point["start_time"] - first).total_seconds() / length * 98 + 1, 2),
            "y": round(62 - (value - low) / (high - low) * 54, 1),
        }
        for point, value in zip(points, logs, strict=True)
    ]


routes = [*traces.routes(), web.get("/traces/facets", guard.protect(handle_errors(_facets)))]
