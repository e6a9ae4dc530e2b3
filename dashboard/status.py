"""The status: what arrives, what waits, what was dropped and why, what the evaluators do and cost, what the disk holds."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

from ..errors import QueryError
from . import guard
from .page_context import PageContext, Rows, page
from .scores import bucket

DROPS = {
    "spans_rejected_total": "refused, told to the sender",
    "spans_sampled_out_total": "not kept by sampling",
    "log_records_rejected_total": "log record refused, told to the sender",
    "metric_points_rejected_total": "metric points, which are not stored",
    "insert_quarantined_total": "set aside: the store will never take it",
}
"""The counters that mean something did not arrive, and what each means."""


async def _show(context: PageContext) -> dict[str, Any]:
    span = context.filters.end - context.filters.start
    everything = guard.only_project(context.request) is None
    ingest, sampling, funnel, tables, rules = await asyncio.gather(
        context.query("pages/ingest", bucket_s=bucket(span, 48)),
        context.query("pages/sampling"),
        context.query("pages/funnel"),
        # What the whole store holds is not one project's to see.
        _tables(context) if everything else _none(),
        context.query("evaluation_funnel") if everything else _none(),
    )
    own = guard.only_project(context.request)
    problem = context.host.problem()
    return {
        "counters": {
            name: context.host.telemetry.total_of(metric, own)
            for name, metric in (
                ("accepted", "spans_accepted_total"),
                ("duplicates", "duplicate_requests_total"),
                ("insert_failures", "insert_failures_total"),
                ("inserted", "insert_segments_total"),
            )
        },
        "backlog_bytes": context.host.telemetry.value("log_backlog_bytes") if everything else 0,
        "drops": _drops(context, own),
        "ingest": ingest,
        "sampling": sampling,
        "funnel": funnel,
        "tables": tables,
        "rules": rules,
        "disk": _disk(context) if everything else {},
        "ready": not problem,
        # What the store said may quote another project's row.
        "trouble": problem if everything else "see the operator" if problem else "",
        "spans_days": context.host.retention.spans_days,
    }


def _drops(context: PageContext, own: str | None) -> list[dict[str, Any]]:
    found = [
        {"what": meaning, "reason": labels.get("reason", ""), "n": value}
        for name, meaning in DROPS.items()
        for labels, value in context.host.telemetry.counted(name)
        if own in (None, labels.get("project"))
    ]
    return sorted(found, key=lambda row: -row["n"])


async def _none() -> Rows:
    """The rules of the service are not one project's to see."""
    return []


async def _tables(context: PageContext) -> Rows:
    try:
        return await context.query("pages/disk")
    except QueryError:
        # A server may not show its system tables to us; the rest of the page still holds.
        return []


def _disk(context: PageContext) -> dict[str, Any]:
    store = context.host.store
    if not store.embedded:
        return {}
    usage = shutil.disk_usage(Path(store.location.path))
    return {"free": usage.free, "total": usage.total, "path": store.location.path}


status = page("/status", "status.html", "Status")(_show)
routes = status.routes()
