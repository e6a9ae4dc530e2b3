"""The status: what arrives, what waits, what was dropped and why, what the evaluators do and cost, what the disk holds."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

from ..errors import QueryError
from . import guard
from .page_context import Look, Rows, page
from .scores import bucket

DROPS = {
    "spans_rejected_total": "refused, told to the sender",
    "spans_sampled_out_total": "not kept by sampling",
    "log_records_rejected_total": "log record refused, told to the sender",
    "metric_points_rejected_total": "metric points, which are not stored",
    "insert_quarantined_total": "set aside: the store will never take it",
}
"""The counters that mean something did not arrive, and what each means."""


async def _show(look: Look) -> dict[str, Any]:
    span = look.filters.end - look.filters.start
    everything = guard.only_project(look.request) is None
    ingest, sampling, funnel, tables, rules = await asyncio.gather(
        look.ask("pages/ingest", bucket_s=bucket(span, 48)),
        look.ask("pages/sampling"),
        look.ask("pages/funnel"),
        # What the whole store holds is not one project's to see.
        _tables(look) if everything else _none(),
        look.ask("evaluation_funnel") if everything else _none(),
    )
    telemetry = look.host.telemetry
    return {
        "counters": {
            "accepted": telemetry.total("spans_accepted_total"),
            "duplicates": telemetry.total("duplicate_requests_total"),
            "insert_failures": telemetry.total("insert_failures_total"),
            "inserted": telemetry.total("insert_segments_total"),
            "insert_seconds": telemetry.total("insert_seconds_total"),
        },
        "backlog_bytes": telemetry.value("log_backlog_bytes"),
        "drops": _drops(look),
        "ingest": ingest,
        "sampling": sampling,
        "funnel": funnel,
        "tables": tables,
        "rules": rules,
        "disk": _disk(look) if everything else {},
        "ready": not look.host.problem(),
        "trouble": look.host.problem(),
        "spans_days": look.host.retention.spans_days,
    }


def _drops(look: Look) -> list[dict[str, Any]]:
    found = [
        {"what": meaning, "reason": labels.get("reason", ""), "n": value}
        for name, meaning in DROPS.items()
        for labels, value in look.host.telemetry.counted(name)
    ]
    return sorted(found, key=lambda row: -row["n"])


async def _none() -> Rows:
    """The rules of the service are not one project's to see."""
    return []


async def _tables(look: Look) -> Rows:
    try:
        return await look.ask("pages/disk")
    except QueryError:
        # A server may not show its system tables to us; the rest of the page still holds.
        return []


def _disk(look: Look) -> dict[str, Any]:
    store = look.host.store
    if not store.embedded:
        return {}
    usage = shutil.disk_usage(Path(store.location.path))
    return {"free": usage.free, "total": usage.total, "path": store.location.path}


status = page("/status", "status.html", "Status")(_show)
routes = status.routes()
