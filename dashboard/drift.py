"""The drift: what moved, since when, how sure, in which corner, what changed at that time, which traces show it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from ..evaluators.drift.report import DIMENSIONS, MIN_SCORES, DriftReport, find_drift
from ..queries import catalog
from . import guard
from .page_context import ExecutedQuery, PageContext, Rows, handle_errors, page, page_context, render
from .result_cache import ResultCache

BEHIND = ("score_volume", "e_detector", "segments", "changes")
"""The named queries behind the report, shown under "as SQL"."""


async def _show(context: PageContext) -> dict[str, Any]:
    key = _key(context)
    if not (context.is_json or context.params.get("wait") or context.request.app[REPORTS].known(key)):
        return {"later": True, "by": key.by, "dimensions": DIMENSIONS}
    return await _found(context, key)


async def _found(context: PageContext, key: _ReportKey) -> dict[str, Any]:
    report, windows = await _report(context, key)
    period = {
        "project": key.project,
        "service": key.service,
        "environment": key.environment,
        "since_s": int((report.until - report.since).total_seconds()),
        "until": report.until.isoformat(),
    }
    for name in BEHIND:
        query = catalog.get(name)
        bound = query.bound(
            {name: value for name, value in period.items() if name in {p.name for p in query.parameters}}
        )
        context.executed.append(ExecutedQuery(query.name, query.statement(bound), bound))
    return {
        "report": msgspec.to_builtins(report, builtin_types=(datetime,)),
        "windows": windows,
        "by": key.by,
        "dimensions": DIMENSIONS,
        "later": False,
    }


async def _later(request: web.Request) -> web.StreamResponse:
    """The report alone, asked for by the page once it stands."""
    context = page_context(request, since="7d")
    data = await _found(context, _key(context))
    return render(context, "drift_report.html", title="Drift", **data)


class _ReportKey(NamedTuple):
    """What a report depends on; `minutes` is the length of the period."""

    project: str
    service: str
    environment: str
    metric: str
    by: str
    minutes: int
    until: datetime


REPORTS: web.AppKey[ResultCache[tuple[DriftReport, dict[str, Rows]]]] = web.AppKey("dashboard_drift")
INPUTS: web.AppKey[ResultCache[dict[str, Any]]] = web.AppKey("dashboard_inputs")
STEP = timedelta(minutes=5)
"""Reports end at whole steps, so that who asks again within one sees the same report, without another run."""
ALPHA = 0.05


def _until(context: PageContext) -> datetime:
    end = min(context.filters.end, datetime.now(UTC))
    return end - timedelta(seconds=end.timestamp() % STEP.total_seconds())


def _key(context: PageContext) -> _ReportKey:
    filters, until = context.filters, _until(context)
    since = max(until - filters.start, timedelta(minutes=1))
    by = context.params.get("by", "")
    return _ReportKey(
        filters.project or "default",
        filters.service,
        filters.environment,
        context.params.get("metric", ""),
        by if by in DIMENSIONS else "",
        round(since / STEP) * 5,
        until,
    )


async def _report(context: PageContext, key: _ReportKey) -> tuple[DriftReport, dict[str, Rows]]:
    """The report and the detector's windows; the newest reports are kept, since each reads the whole period twice."""
    return await context.request.app[REPORTS].get(key, lambda: asyncio.to_thread(_compute, context, key))


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
    reference = int((report.since - report.baseline_from).total_seconds())
    period = {**scope, "since_s": length, "until": report.until.isoformat(), "baseline_s": reference}
    return report, _windows(context, report, period)


def _windows(context: PageContext, report: DriftReport, period: dict[str, Any]) -> dict[str, Rows]:
    """The detector's windows of each score for the charts, under the report's own share of the error probability."""
    enough = sum(min(row["n_before"], row["n_after"]) >= MIN_SCORES for row in report.scores)
    settings = {
        "window_s": report.window_s,
        "horizon": -(-period["since_s"] // report.window_s),
        "alpha": ALPHA / 4 / max(enough, 1),
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
    key = (*_key(context)[:3], *_key(context)[5:])
    return dict(await context.request.app[INPUTS].get(key, lambda: _compare_inputs(context)))


async def _compare_inputs(context: PageContext) -> dict[str, Any]:
    filters, until = context.filters, _until(context)
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
inputs = page("/drift/inputs", "drift_inputs.html", "What users ask", since="7d", early=False)(_inputs)
routes = [
    *drift.routes(),
    web.get("/drift/report", guard.protect(handle_errors(_later))),
    *inputs.routes(),
]
