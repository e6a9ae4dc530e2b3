"""The drift: what moved, since when, how sure, in which corner, what changed at that time, which traces show it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from ..evaluators.drift.report import DIMENSIONS, LEAST, DriftReport, find_drift
from ..queries import catalog
from .page_context import ExecutedQuery, PageContext, Rows, page

BEHIND = ("score_volume", "e_detector", "segments", "changes")
"""The named queries behind the report, shown under "as SQL"."""


async def _show(context: PageContext) -> dict[str, Any]:
    filters = context.filters
    # To the minute: whoever reloads or asks for the .json sees the same report, without another run.
    until = min(filters.end, datetime.now(UTC)).replace(second=0, microsecond=0)
    since = max(until - filters.start, timedelta(minutes=1))
    by = context.params.get("by", "")
    project = filters.project or "default"
    metric = context.params.get("metric", "")
    by = by if by in DIMENSIONS else ""
    minutes = round(since / timedelta(minutes=1))
    report, windows = await _report(
        context, _ReportKey(project, filters.service, filters.environment, metric, by, minutes, until)
    )
    period = {
        "project": project,
        "service": filters.service,
        "environment": filters.environment,
        "since_s": int((report.until - report.since).total_seconds()),
        "until": report.until.isoformat(),
    }
    context.executed += [ExecutedQuery(name, catalog.get(name).sql, period) for name in BEHIND]
    return {
        "report": msgspec.to_builtins(report, builtin_types=(datetime,)),
        "windows": windows,
        "by": by,
        "dimensions": DIMENSIONS,
    }


class _ReportKey(NamedTuple):
    """What a report depends on; `minutes` is the length of the period."""

    project: str
    service: str
    environment: str
    metric: str
    by: str
    minutes: int
    until: datetime


_Kept = dict[_ReportKey, tuple[DriftReport, dict[str, Rows]]]
REPORTS: web.AppKey[_Kept] = web.AppKey("dashboard_drift")
MAX_REPORTS = 30
ALPHA = 0.05


async def _report(context: PageContext, key: _ReportKey) -> tuple[DriftReport, dict[str, Rows]]:
    """The report and the detector's windows; the newest reports are kept, since each reads the whole period twice."""
    kept = context.request.app[REPORTS]
    if key not in kept:
        found = await asyncio.to_thread(_compute, context, key)
        while len(kept) >= MAX_REPORTS:
            kept.pop(next(iter(kept)))
        kept[key] = found
    return kept[key]


def _compute(context: PageContext, key: _ReportKey) -> tuple[DriftReport, dict[str, Rows]]:
    since = timedelta(minutes=key.minutes)
    scope: dict[str, Any] = {
        "project": key.project,
        "service": key.service,
        "environment": key.environment,
        "metric": key.metric,
    }
    report = find_drift(context.host.store, **scope, by=key.by, since=since, until=key.until, alpha=ALPHA)
    length = int((report.until - report.since).total_seconds())
    period = {**scope, "since_s": length, "until": report.until.isoformat()}
    return report, _windows(context, report, period)


def _windows(context: PageContext, report: DriftReport, period: dict[str, Any]) -> dict[str, Rows]:
    """The detector's windows of each score for the charts, under the report's own share of the error probability."""
    enough = sum(min(row["n_before"], row["n_after"]) >= LEAST for row in report.scores)
    settings = {
        "window_s": report.window_s,
        "horizon": -(-period["since_s"] // report.window_s),
        "alpha": ALPHA / 2 / max(enough, 1),
        "min_n": 5,
    }
    query = catalog.get("e_detector")
    rows = query.run(context.host.store, **period, **settings).dicts()
    found: dict[str, Rows] = {}
    for row in rows:
        found.setdefault(row["metric"], []).append(row)
    return found


async def _inputs(context: PageContext) -> dict[str, Any]:
    """Whether what users ask moved: lengths and tokens, languages and models, words. Read apart: it takes a while."""
    filters = context.filters
    until = min(filters.end, datetime.now(UTC)).replace(second=0, microsecond=0)
    period = {
        "project": filters.project or "default",
        "since_s": max(60, int((until - filters.start).total_seconds())),
        "until": until.isoformat(),
    }
    numbers, categories, words, bins = await asyncio.gather(
        context.query("input_drift_numbers", **period),
        context.query("input_drift_categories", **period),
        context.first_row("input_drift_words", **period),
        context.query("pages/input_histograms", **period),
    )
    return {"numbers": numbers, "categories": categories, "words": words, "histograms": twins(bins)}


def twins(bins: Rows) -> dict[str, dict[str, Any]]:
    """The two histograms of each feature on one axis, and the calls of the bin that gained most."""
    found: dict[str, dict[str, Any]] = {}
    for feature in dict.fromkeys(row["feature"] for row in bins):
        own = [row for row in bins if row["feature"] == feature]
        gained = max(own, key=lambda row: row["share_after"] - row["share_before"])
        first, width = own[0]["low"], own[0]["high"] - own[0]["low"]
        found[feature] = {
            "bins": [{**row, "at": round((row["low"] - first) / width)} for row in own],
            "low": first,
            "high": own[-1]["high"],
            "top": max(max(row["share_before"], row["share_after"]) for row in own),
            "gained": {key: gained[key] for key in ("low", "high", "share_before", "share_after")},
            "examples": [dict(zip(("trace_id", "span_id", "value"), one, strict=True)) for one in gained["examples"]],
        }
    return found


drift = page("/drift", "drift.html", "Drift", since="7d")(_show)
inputs = page("/drift/inputs", "drift_inputs.html", "What users ask", since="7d")(_inputs)
routes = [*drift.routes(), *inputs.routes()]
