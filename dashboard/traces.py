"""The list of traces: sorted, filtered by chips, live; with facets that count what they open, and the outliers above."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from typing import Any

from aiohttp import web

from ..errors import UsageError
from ..queries.span_conditions import Condition, Filter, trace_filter
from . import guard
from .filters import stamp
from .listed import rows_of
from .page_context import PageContext, Rows, handle_errors, page, page_context, render
from .trace_filters import all_params, chips, conditions, kept, removed

NEWEST = timedelta(hours=12)
"""The newest rows are looked for here first: on a busy store that is enough."""
SORTS = {
    "time": "Newest first",
    "oldest": "Oldest first",
    "duration": "Longest first",
    "cost": "Dearest first",
    "errors": "Most errors first",
    "score": "Lowest score first",
}
COLUMNS = {
    "duration": "Duration",
    "cost": "Cost",
    "tokens": "Tokens",
    "spans": "Spans",
    "service": "Service",
    "model": "Model",
    "prompt": "Prompt",
    "user": "User",
    "session": "Session",
    "scores": "Scores",
}
USUAL = ("duration", "cost", "scores")
MAX_ATTRIBUTES = 4
"""Columns of attributes, at most."""


def columns(context: PageContext) -> list[str]:
    """The columns after the trace itself: of the address, else the usual; a name that is none of ours is an attribute."""
    given = [name.strip() for name in context.params.get("columns", "").split(",") if name.strip()]
    attributes = [name for name in given if name not in COLUMNS][:MAX_ATTRIBUTES]
    return [name for name in given if name in COLUMNS or name in attributes] or list(USUAL)


def _attributes(context: PageContext) -> list[str]:
    return [name for name in columns(context) if name not in COLUMNS]


def sort_of(context: PageContext) -> str:
    """The order of the list; raises UsageError for one that there is not."""
    sort = context.params.get("sort", "time")
    if sort not in SORTS:
        raise UsageError(f"The list cannot be sorted by {sort!r}.", hint=f"sort is one of {', '.join(SORTS)}.")
    return sort


RANKED = {
    "cost": ("pages/traces_by_whole", {"by_cost": 1, "by_errors": 0}),
    "errors": ("pages/traces_by_whole", {"by_cost": 0, "by_errors": 1}),
    "score": ("pages/traces_by_score", dict[str, int]()),
}
"""Orders by what a whole trace holds: the ids are found first, from narrow columns, then the rows of these traces."""


async def in_order(context: PageContext, filtered: Filter, sort: str, **given: Any) -> Rows:
    """The rows of the list in one of SORTS; `given` says how many, which are left out first, and in which range."""
    if sort not in RANKED:
        order = "oldest" if sort == "oldest" else f"by_{sort}"
        return await context.query("pages/traces", filtered, **{**given, order: 1})
    query, by = RANKED[sort]
    ranked = await context.query(query, filtered, **given, **by)
    if not ranked:
        return []
    place = {row["id"]: number for number, row in enumerate(ranked)}
    hours = sorted({row["entered"].replace(minute=0, second=0, microsecond=0) for row in ranked})
    chosen = {"ids": [*place], "hours": [f"{hour:%F %T}" for hour in hours], "chosen": 1}
    rows = await context.query("pages/traces", **{**given, **chosen, "skip": 0})
    return sorted(rows, key=lambda row: place[row["trace_id"]])


async def entries(context: PageContext, rows: int) -> tuple[Rows, bool]:
    """The traces of the list with totals, texts and scores; and whether their roots are missing in this range."""
    filtered = trace_filter(conditions(context))
    sort, skip = sort_of(context), _skip(context)
    given: dict[str, Any] = {"rows": rows, "skip": skip}
    found: Rows = []
    newest = context.filters.end - NEWEST
    stepwise = sort == "time" and not skip and newest > context.filters.start
    if stepwise:
        found = await in_order(context, filtered, sort, **given, start=stamp(newest))
    if len(found) < rows:
        end = {"end": stamp(newest)} if stepwise else {}
        more = await in_order(context, filtered, sort, **{**given, "rows": rows - len(found)}, **end)
        seen = {row["trace_id"] for row in found}
        found += [row for row in more if row["trace_id"] not in seen]
    rootless = False
    if not found and not skip and not (await context.first_row("pages/trace_count")).get("n"):
        # Spans whose root went to another collector are still worth a line each.
        found = await in_order(context, filtered, sort, **given, every=1)
        rootless = bool(found)
    return await rows_of(context, found, _attributes(context)), rootless


async def arrivals(context: PageContext, after: str, most: int) -> Rows:
    """The traces that were stored since `after`, with totals and scores."""
    every = int(context.params.get("every") == "1")
    filtered = trace_filter(conditions(context))
    found = await context.query("pages/traces", filtered, rows=most, every=every, after=after)
    return await rows_of(context, found, _attributes(context))


def _skip(context: PageContext) -> int:
    text = context.params.get("skip", "")
    return min(int(text), 100_000) if text.isdecimal() else 0


async def _show(context: PageContext) -> dict[str, Any]:
    rows = context.config.rows
    found, rootless = await entries(context, rows)
    chosen = chips(context)
    waiting = not found and not chosen and await nothing_at_all(context)
    past = "to" in context.filters.explicit or bool(_skip(context)) or sort_of(context) != "time"
    return {
        "traces": found,
        "chips": [{"text": chip.text, "without": removed(context, chip)} for chip in chosen],
        "kept": kept(context),
        "waiting": waiting,
        "older": _following(context, found, rows),
        "rootless": int(rootless),
        "sort": sort_of(context),
        "sorts": SORTS,
        "columns": columns(context),
        "known_columns": COLUMNS,
        "compact": context.params.get("rows") == "compact",
        "live": not past,
    }


def _following(context: PageContext, found: Rows, rows: int) -> str:
    """The address of the next rows: the same range, ended now, so that what arrives meanwhile moves nothing."""
    if len(found) < rows:
        return ""
    params = {**all_params(context), "since": "", "skip": str(_skip(context) + rows)}
    ends = {"from": context.filters.start.isoformat(), "to": context.filters.end.isoformat()}
    return context.filters.url("/traces", **{**params, **ends})


async def nothing_at_all(context: PageContext) -> bool:
    """Whether the store holds no span of any time."""
    row = await context.first_row("pages/scopes", start="1970-01-01 00:00:00", end="2100-01-01 00:00:00")
    return not row.get("spans")


traces = page("/traces", "traces.html", "Traces")(_show)

FACETS = {
    "status": "Status",
    "failed": "Failed evaluator",
    "model": "Model",
    "version": "Prompt",
    "error": "Error",
    "tool": "Tool",
    "agent": "Agent",
    "operation": "Operation",
    "name": "Span",
}


async def facets_of(context: PageContext) -> tuple[dict[str, tuple[str, Rows]], int, int]:
    """The facets with the number of traces that each value opens, the number of the list, and that without filters."""
    every = int(context.params.get("every") == "1")
    chosen = [name for name in FACETS if context.params.get(name)]
    asked: list[Condition] = conditions(context)
    counted = [context.query("pages/trace_facets", trace_filter(asked), every=every)]
    for name in ("failed", *(facet for facet in chosen if facet != "failed")):
        # A facet that is chosen offers what would be in its place: it is counted without itself.
        others = trace_filter(conditions(context, without=name))
        query, given = ("pages/failing", {}) if name == "failed" else ("pages/trace_facets", {"only": name})
        counted.append(context.query(query, others, every=every, **given))
    if asked:
        counted.append(context.query("pages/trace_count", every=every))
    free, failing, *own = await asyncio.gather(*counted)
    listed = next((row["n"] for row in free if not row["facet"]), 0)
    all_ = own.pop()[0]["n"] if asked else listed
    rows = [row for row in free if row["facet"] not in {*chosen, ""}]
    rows += [{"facet": "failed", **row} for row in failing]
    rows += [row for found in own for row in found]
    grouped = {name: (title, [row for row in rows if row["facet"] == name]) for name, title in FACETS.items()}
    return {name: pair for name, pair in grouped.items() if pair[1]}, listed, all_


async def _facets(request: web.Request) -> web.StreamResponse:
    """Facets, count and outliers, asked for by the page once it stands: they scan the whole range."""
    context = page_context(request)
    every = int(context.params.get("every") == "1")
    (facets, listed, all_), points = await asyncio.gather(
        facets_of(context),
        context.query("pages/outliers", trace_filter(conditions(context)), every=every),
    )
    return render(
        context,
        "traces_facets.html",
        title="Facets",
        facets=facets,
        kept=kept(context),
        listed=listed,
        all=all_,
        strip=_strip(points),
        brush=_brush(context, points),
    )


async def _facets_json(request: web.Request) -> web.StreamResponse:
    context = page_context(request)
    facets, listed, all_ = await facets_of(context)
    return web.json_response(
        {"data": {"facets": {name: rows for name, (_, rows) in facets.items()}, "listed": listed, "all": all_}}
    )


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


def _brush(context: PageContext, points: Rows) -> dict[str, Any]:
    """What an area that is marked over the points means: the ends of both axes, and where it leads."""
    if len(points) < 3:
        return {}
    logs = [math.log10(max(point["duration_ns"], 1e5)) for point in points]
    return {
        "first": points[0]["start_time"],
        "last": points[-1]["start_time"],
        "low": min(logs) - 6,
        "high": max(*logs, min(logs) + 0.5) - 6,
        "leads": context.filters.url("/difference", **kept(context)),
    }


routes = [
    *traces.routes(),
    web.get("/traces/facets", guard.protect(handle_errors(_facets))),
    web.get("/traces/facets.json", guard.protect(handle_errors(_facets_json))),
]
