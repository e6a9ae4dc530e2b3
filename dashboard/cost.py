"""The cost: dollars per day by anything, what the month will come to, per conversation and passed answer, and what raised it."""

from __future__ import annotations

import asyncio
import calendar
from datetime import UTC, datetime, timedelta
from typing import Any

from ..queries.span_conditions import COLUMNS, Filter, expression, trace_filter
from .cost_causes import IDENTIFIERS
from .explore import Z
from .filters import instant, stamp
from .listed import rows_of
from .page_context import PageContext, Rows, page
from .scores import bucket
from .trace_filters import WHERE, added, chips, conditions, kept, removed
from .traces import in_order

MAX_CAUSES = 14
MAX_FOUND = 4
"""Attributes that are offered beside those of the setting, because costs differ by them."""
FORECAST_DAYS = 14


async def _show(context: PageContext) -> dict[str, Any]:
    filters, by = context.filters, context.params.get("by", "").strip() or "service"
    end = min(filters.end, datetime.now(UTC))
    size = max(3600, bucket(end - filters.start, 40))
    middle = _middle(context, end)
    text, given = expression(by, "group_key")
    filtered = trace_filter(conditions(context))
    both = Filter(filtered.text, {**filtered.parameters, **given})
    rows, units, changed, forecast, dearest = await asyncio.gather(
        context.query("pages/cost_days", both, {"group": f"            {text}"}, bucket_s=size),
        context.first_row("pages/cost_units"),
        context.query("pages/cost_change", middle=stamp(middle), end=stamp(end)),
        _forecast(context, end),
        _dearest(context),
    )
    groups = _groups(context, by, changed)
    changed = await _with_traces(context, changed, middle, end)
    whole = sorted(
        (row for row in rows if row["whole"]), key=lambda row: (row["value"] == "(others)", -row["cost_usd"])
    )
    labels = [row["value"] for row in whole]
    total = sum(row["cost_usd"] for row in whole)
    days = max((end - filters.start) / timedelta(days=1), 1 / 24)
    return {
        "by": by,
        "groups": groups,
        "rows": [{**row, "share": row["cost_usd"] / total if total else 0.0, "per_day": row["cost_usd"] / days, "open": _open(context, by, row["value"])} for row in whole],
        "labels": labels,
        "series": _stacked([row for row in rows if not row["whole"]], labels),
        "total": total,
        "per_day": total / days,
        "unpriced": sum(row["unpriced_calls"] for row in whole),
        "cached": _cached(whole),
        "units": units,
        "middle": middle,
        "changed": changed,
        "rise": (changed[0]["all_after"], changed[0]["all_before"]) if changed else None,
        "forecast": forecast,
        "dearest": dearest,
        "opens": {text: _since(context, middle, end, text) for row in changed for text in [f"{row['key']}={row['value']}"]},
        "chips": [{"text": chip.text, "without": removed(context, chip)} for chip in chips(context)],
        "kept": kept(context),
    }  # fmt: skip


async def _with_traces(context: PageContext, changed: Rows, middle: datetime, end: datetime) -> Rows:
    """The causes that are shown, each with the number of traces that it opens; the others are not counted."""
    shown = changed[:MAX_CAUSES]
    if not shown:
        return []
    of: dict[str, list[str]] = {}
    for row in shown:
        of.setdefault(row["key"], []).append(row["value"])
    times = {"start": stamp(middle), "end": stamp(end)}

    async def counted(key: str) -> dict[tuple[str, str], int]:
        text, given = expression(key, "group_key")
        slots = {"group": f"            {text}"}
        rows = await context.query("pages/cost_traces", Filter("", given), slots, values=of[key], **times)
        return {(key, row["value"]): row["traces"] for row in rows}

    traces = {pair: n for found in await asyncio.gather(*map(counted, of)) for pair, n in found.items()}
    return [{**row, "traces": traces.get((row["key"], row["value"]), 0)} for row in shown]


def _groups(context: PageContext, by: str, changed: Rows) -> list[str]:
    """By what the page offers to split: the setting, the address, and attributes by which costs moved."""
    offered = [*context.config.cost_by, by]
    known = {*offered, *COLUMNS, *IDENTIFIERS}
    found = [key for key in dict.fromkeys(row["key"] for row in changed) if key not in known]
    return list(dict.fromkeys([*offered, *found[:MAX_FOUND]]))


def _middle(context: PageContext, end: datetime) -> datetime:
    """Where "before" ends: of the address, else the middle of the range."""
    given = context.params.get("middle", "")
    start = context.filters.start
    middle = instant(given, context.filters.zone) if given else start + (end - start) / 2
    return min(max(middle, start + timedelta(minutes=1)), end - timedelta(minutes=1))


def _open(context: PageContext, by: str, value: str) -> str:
    return "" if value == "(others)" else added(context, "/traces", f"{by}={value}")


def _since(context: PageContext, middle: datetime, end: datetime, text: str) -> str:
    """The traces that a change counts: those with the value since `middle`."""
    params = kept(context)
    ends = {
        "since": "",
        "from": middle.isoformat(timespec="milliseconds"),
        "to": end.isoformat(timespec="milliseconds"),
    }
    return context.filters.url("/traces", **{**params, WHERE: [*params.get(WHERE, []), text], **ends})


def _stacked(points: Rows, labels: list[str]) -> list[dict[str, Any]]:
    """One row per time; each label's dollars on top of the labels before it, as stacked bars are drawn."""
    at: dict[Any, dict[str, float]] = {}
    for point in points:
        at.setdefault(point["time"], {})[point["value"]] = point["cost_usd"]
    found = []
    for time in sorted(at):
        own = [at[time].get(label, 0.0) for label in labels]
        found.append({"time": time, "values": own, "sums": [sum(own[at_:]) for at_ in range(len(own))]})
    return found


def _cached(rows: Rows) -> float:
    tokens = sum(row["input_tokens"] for row in rows)
    return sum(row["cached"] * row["input_tokens"] for row in rows) / tokens if tokens else 0.0


async def _forecast(context: PageContext, end: datetime) -> dict[str, Any] | None:
    """What this calendar month comes to: what is spent, and the rest at the mean of the last whole days.

    The interval is that of the mean of days, as if days were independent.
    """
    month = end.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    today = end.replace(hour=0, minute=0, second=0, microsecond=0)
    first = min(month, today - timedelta(days=FORECAST_DAYS))
    text, given = expression("project", "group_key")
    rows = await context.query(
        "pages/cost_days", Filter("", given), {"group": f"            {text}"}, bucket_s=86400, start=stamp(first), end=stamp(end)
    )  # fmt: skip
    per_day: dict[datetime, float] = {}
    for row in rows:
        if not row["whole"]:
            day = row["time"].replace(tzinfo=UTC)
            per_day[day] = per_day.get(day, 0.0) + row["cost_usd"]
    whole = [per_day.get(today - timedelta(days=back), 0.0) for back in range(1, FORECAST_DAYS + 1)]
    used = whole[: max(3, sum(1 for day in per_day if day < today))]
    if len(used) < 3 or not any(used):
        return None
    mean = sum(used) / len(used)
    sd = (sum((value - mean) ** 2 for value in used) / (len(used) - 1)) ** 0.5
    spent = sum(value for day, value in per_day.items() if day >= month)
    left = calendar.monthrange(end.year, end.month)[1] - (end - month) / timedelta(days=1)
    half = Z * (sd * left**0.5 if left > 0 else 0.0) + Z * sd / len(used) ** 0.5 * left
    return {"month": month, "spent": spent, "whole": spent + mean * left, "low": max(spent, spent + mean * left - half), "high": spent + mean * left + half, "days": len(used)}  # fmt: skip


async def _dearest(context: PageContext) -> Rows:
    found = await in_order(context, trace_filter(conditions(context)), "cost", rows=10)
    return await rows_of(context, found, whole=False)


cost = page("/cost", "cost.html", "Cost", since="30d")(_show)
routes = cost.routes()
