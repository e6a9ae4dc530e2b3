"""The scores: every evaluator with its interval; one of them over time, as a distribution, by slice, against people."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from aiohttp import web

from ..queries.span_conditions import LABEL, SCORE
from . import guard
from .alert_thresholds import thresholds_for
from .page_context import PageContext, Rows, handle_errors, page, page_context, render

BUCKETS = (300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 7 * 86400)
POINTS = 40
"""About how many points a trend has."""


def bucket(length: timedelta, points: int = POINTS) -> int:
    """Seconds of one point so that a range has at most about `points`."""
    wanted = length.total_seconds() / points
    return next((size for size in BUCKETS if size >= wanted), BUCKETS[-1])


async def _show(context: PageContext) -> dict[str, Any]:
    names, rules = await asyncio.gather(context.query("pages/score_names"), context.query("pages/alert_rules"))
    # How much of the traffic is judged compares every call with every score: it comes once the page stands.
    coverage = {} if names and not context.is_json else await context.first_row("pages/coverage")
    chosen = _chosen(context, names)
    detail = await _detail(context, chosen, rules) if chosen else {}
    units: dict[str, set[str]] = {}
    for row in names:
        units.setdefault(row["name"], set()).add(row["unit"])
    mixed = {name for name, found in units.items() if len(found) > 1}
    for row in names:
        row["open"] = context.filters.url(
            "/scores", name=row["name"], source=row["source"], unit=row["unit"] if row["name"] in mixed else ""
        )
    return {"names": names, "coverage": coverage, "chosen": chosen, "mixed": mixed, **detail}


async def unit_of_metric(context: PageContext, name: str, times: dict[str, Any]) -> str:
    """What a metric of that name judges most in the range: span, trace or conversation."""
    rows = [row for row in await context.query("pages/evaluation_names", **times) if row["name"] == name]
    return max(rows, key=lambda row: row["n"], default={"unit": "span"})["unit"]


def _chosen(context: PageContext, names: Rows) -> dict[str, Any] | None:
    """The evaluator in the URL, else the one that fails most."""
    name, source, unit = (context.params.get(key, "") for key in ("name", "source", "unit"))
    found = [
        row for row in names if row["name"] == name and source in {"", row["source"]} and unit in {"", row["unit"]}
    ]
    if found:
        return found[0]
    return max(names, key=lambda row: (row["source"] != "human", row["failed"] or 0), default=None)


async def _detail(context: PageContext, chosen: dict[str, Any], rules: Rows) -> dict[str, Any]:
    name, source, unit = chosen["name"], chosen["source"], chosen["unit"]
    span = context.filters.end - context.filters.start
    project = context.filters.project or "default"
    alerts = asyncio.ensure_future(context.query("pages/alerts"))
    trend, slices, histogram, marks, human = await asyncio.gather(
        context.query("pages/score_trend", name=name, source=source, unit=unit, bucket_s=bucket(span)),
        context.query("pages/score_slices", name=name, source=source, unit=unit),
        context.query("pages/score_histogram", name=name, source=source, unit=unit),
        context.query("pages/score_marks", name=name, unit=unit),
        context.first_row("pages/judge_human", name=name, unit=unit),
    )
    # Weeks of agreement are there only where people judged what the evaluator judged.
    weeks = await context.query("judge_agreement", metric=name, unit=unit, project=project) if human.get("n") else []
    key = f"{LABEL if source == 'human' else SCORE}{name}@{unit}"
    place = "/sessions" if unit == "conversation" else "/traces"
    for row in slices:
        row["open"] = _judged(context, place, f"{key}@{SLICES[row['dimension']]}={row['value']}")
    for row in histogram:
        # The last bin holds its end, too.
        last = row is histogram[-1]
        row["open"] = _judged(
            context, place, f"{key}>={row['low']!r}" if last else f"{key}={row['low']!r}..{row['high']!r}"
        )
    return {
        "firing": [row for row in await alerts if row["state"] == "firing" and row["labels"].get("metric") == name],
        "counted": "conversations" if unit == "conversation" else "traces",
        "failures": _judged(context, place, f"{key}=fail"),
        "weeks": weeks,
        "limits": thresholds_for(rules, name),
        "trend": trend,
        "slices": _grouped(slices),
        "histogram": histogram,
        "marks": _changes(marks, trend),
        "agreement": agreement(human),
        "scale": _scale(slices),
    }


SLICES = {
    "prompt": "version",
    "model": "model",
    "segment": "segment",
    "service": "service",
    "environment": "environment",
    "evaluator version": "evaluator",
}
"""The dimensions of pages/score_slices as what a filter calls them."""


def _judged(context: PageContext, place: str, text: str) -> str:
    return context.filters.url(place, where=text)


def _scale(slices: Rows) -> tuple[float, float]:
    """The ends of the axis on which slices are drawn: 0 to 1 when all of them lie there."""
    ends = [row[end] for row in slices for end in ("low", "mean", "high") if row[end] is not None]
    least, most = min(ends, default=0.0), max(ends, default=1.0)
    return (0.0, 1.0) if least >= 0 and most <= 1 else (least, most)


def _grouped(slices: Rows) -> dict[str, Rows]:
    grouped: dict[str, Rows] = {}
    for row in slices:
        grouped.setdefault(row["dimension"], []).append(row)
    return {dimension: rows for dimension, rows in grouped.items() if len(rows) > 1}


def _changes(marks: Rows, trend: Rows) -> Rows:
    """What is new rather than rare: had it been there from the start, it would have been seen five times before."""
    if not trend:
        return []
    start, end = trend[0]["time"], trend[-1]["time"]
    settled = trend[min(1, len(trend) - 1)]["time"]
    return [
        mark
        for mark in marks
        if mark["time"] > settled
        and mark["n"] * (mark["time"] - start) > 5 * max(end - mark["time"], timedelta(hours=1))
    ]


def agreement(counts: dict[str, Any]) -> dict[str, Any] | None:
    """Agreement of evaluator and people on the spans both judged: share with interval, kappa, how failures are found."""
    n = int(counts.get("n", 0))
    if not n:
        return None
    both_fail, only_judge = int(counts["both_fail"]), int(counts["only_judge"])
    only_human, both_pass = int(counts["only_human"]), int(counts["both_pass"])
    same = both_fail + both_pass
    # Here: a service whose scores nobody looks at does without numpy's 10 MB.
    from ..evaluators.statistics import cohen_kappa, proportion_interval

    interval = proportion_interval(same, n)
    judge = [0] * (both_fail + only_judge) + [1] * (only_human + both_pass)
    people = [0] * both_fail + [1] * only_judge + [0] * only_human + [1] * both_pass
    return {
        **counts,
        "share": same / n,
        "low": interval.low,
        "high": interval.high,
        "kappa": cohen_kappa(judge, people),
        "found": both_fail / (both_fail + only_human) if both_fail + only_human else None,
        "right": both_fail / (both_fail + only_judge) if both_fail + only_judge else None,
    }


async def _coverage(request: web.Request) -> web.StreamResponse:
    """The sentence about how much of the traffic is judged, asked for by the page once it stands."""
    context = page_context(request, since="14d")
    row = await context.first_row("pages/coverage")
    return render(context, "scores_coverage.html", title="Coverage", coverage=row)


scores = page("/scores", "scores.html", "Scores", since="14d")(_show)
routes = [*scores.routes(), web.get("/scores/coverage", guard.protect(handle_errors(_coverage)))]
