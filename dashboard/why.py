"""One screen for one alert or finding: how it went, what explains it, the prompt's edit, traces before and since, what to do."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from ..errors import UsageError
from ..evaluators.drift.reference import USAGE
from ..evaluators.drift.units import format_difference, format_value
from ..queries.messages import output_text
from ..queries.plain_json import plain_json
from . import guard, messages
from .alert_thresholds import thresholds_for
from .alerts import SILENCES, shown_number, traces_of
from .cost_causes import IDENTIFIERS, explaining
from .filters import stamp
from .findings import BACK
from .labels import redirect, remember_author
from .page_context import PageContext, Rows, handle_errors, page, page_context
from .result_cache import ResultCache
from .scores import bucket, unit_of_metric
from .template_filters import aware

MAX_CAUSES, MAX_SEGMENTS = 12, 8
EXPLANATIONS: web.AppKey[ResultCache[dict[str, Any]]] = web.AppKey("dashboard_why")


async def _alert(context: PageContext) -> dict[str, Any]:
    """The screen of one alert, which says what it is about by its labels and its rule."""
    alert_id = context.request.match_info["alert"]
    alerts, rules = await asyncio.gather(context.query("pages/alerts"), context.query("pages/alert_rules"))
    alert = next((row for row in alerts if row["alert_id"] == alert_id), None)
    if alert is None:
        raise web.HTTPNotFound(
            text=f"There is no alert {alert_id!r}: it may be of another project, or past its retention.\n"
        )
    rule = next((row for row in rules if row["rule_id"] == alert["rule_id"]), {})
    given = json.loads(rule.get("parameters") or "{}")
    metric = alert["labels"].get("metric") or str(given.get("metric") or "")
    service = alert["labels"].get("service") or str(given.get("service") or "") or context.filters.service
    now = datetime.now(UTC)
    ended = aware(alert["ended_at"]) if alert["ended_at"] else now
    since = aware(alert["window_from"])
    length = max(timedelta(days=3), min(ended - since, timedelta(days=14)))
    start, end = max(since - length, ended - 2 * BACK), min(ended + timedelta(hours=6), now)
    usage = metric in USAGE or given.get("of") == "usage" or rule.get("query") == "usage_trend"
    stored = await context.first_row("pages/alert_finding", alert=alert_id)
    known = json.loads((stored or {}).get("finding") or "null")
    body = await _body(context, metric, service, (start, since, end), usage=usage, known=known)
    return {
        **body,
        "thresholds": thresholds_for(rules, metric),
        "title": alert["name"],
        "alert": {**alert, **shown_number(alert, given), "traces": traces_of(context, alert, given)},
        "rule": rule,
        "notes": await context.query("pages/alert_notes", about=alert_id),
        "about": alert_id,
        "silences": SILENCES,
        "accept": _scope_to_accept(metric, rule, given) if alert["state"] == "firing" else None,
    }


def _scope_to_accept(metric: str, rule: dict[str, Any], given: dict[str, Any]) -> dict[str, str] | None:
    """Of which reference the new level of an alert's metric would become the level; None where the alert has none."""
    if not metric or rule.get("query") != "e_detector":
        return None
    scope = {name: str(given.get(name) or "") for name in ("service", "environment")}
    return {"metric": metric, **scope, "project": str(rule.get("project") or "")}


async def _finding(context: PageContext) -> dict[str, Any]:
    """The screen of a score that moved, whether or not an alert watches it."""
    metric = context.params.get("metric", "").split(",")[0].strip()
    if not metric:
        raise UsageError("Which score?", hint="Write /why?metric=faithfulness, or come from the overview or the drift.")
    service = context.filters.service
    end = min(context.filters.end, datetime.now(UTC))
    start, end = (moment.replace(second=0, microsecond=0) for moment in (context.filters.start, end))
    about = f"score:{service}:{metric}"
    rules, notes, body = await asyncio.gather(
        context.query("pages/alert_rules"),
        context.query("pages/alert_notes", about=about),
        _body(context, metric, service, (start, None, end), usage=False),
    )
    return {
        **body,
        "thresholds": thresholds_for(rules, metric),
        "title": f"Why {metric}?",
        "alert": None,
        "rule": {},
        "notes": notes,
        "about": about,
        "silences": {},
        "accept": {"metric": metric, "service": service, "environment": context.filters.environment, "project": ""},
    }


async def _body(
    context: PageContext,
    metric: str,
    service: str,
    span: tuple[datetime, datetime | None, datetime],
    *,
    usage: bool,
    known: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What is shown of a metric; `span` is begin, change (None: to be found) and end, `known` an explanation that is stored."""
    start, changed, end = span
    found, missing = (known, "") if known or not metric else await _explained(context, metric, service, span)
    since = aware(found["since"]) if found else changed or start + (end - start) / 2
    start = min(start, since - (end - since) / 4)
    times: dict[str, Any] = {"start": stamp(start), "end": stamp(end), "service": service}
    told = {**_nothing(metric, service, (start, since, end)), **told_of(found), "missing": missing}
    size = bucket(end - start, 48)
    if usage or not metric:
        trend, changed_costs = await asyncio.gather(
            context.query("pages/overview_trend", **times, bucket_s=size),
            context.query("pages/cost_change", **times, middle=stamp(since)),
        )
        causes = explaining(changed_costs)
        named = {(row["key"], row["value"]) for row in causes}
        others = [
            row for row in changed_costs if row["key"] not in IDENTIFIERS and (row["key"], row["value"]) not in named
        ]
        cost_causes = [*causes, *others][:MAX_CAUSES]
        return {**told, "usage": True, "trend": [row for row in trend if row["whole"]], "cost_causes": cost_causes}
    unit = await unit_of_metric(context, metric, times)
    trend, shown = await asyncio.gather(
        context.query("pages/score_trend", name=metric, unit=unit, **times, bucket_s=size),
        context.query("pages/why_traces", name=metric, **times, middle=stamp(since)),
    )
    before = [row for row in shown if not row["late"]]
    after = [dict(row) for row in found["traces"]] if found else [row for row in shown if row["late"]]
    texts = await _texts_of(context, [*before, *after])
    return {**told, "trend": trend, "before_traces": texts[: len(before)], "after_traces": texts[len(before) :]}


async def _explained(
    context: PageContext, metric: str, service: str, span: tuple[datetime, datetime | None, datetime]
) -> tuple[dict[str, Any] | None, str]:
    """What `evalspan why` says of the metric, as data; without it the reason why nothing can be told."""
    start, changed, end = span
    scope = {"project": context.filters.project or "default", "environment": context.filters.environment}
    key = (metric, service, *scope.values(), start, changed, end)

    def explain() -> dict[str, Any]:
        from ..evaluators.drift.why import explain_shift  # here: numpy is 10 MB that few services need

        found = explain_shift(
            context.host.store, metric, since=end - start, until=end, changed=changed, service=service, **scope
        )
        told: dict[str, Any] = plain_json(found)
        return told

    try:
        return await context.request.app[EXPLANATIONS].get(key, lambda: asyncio.to_thread(explain)), ""
    except UsageError as error:
        return None, f"{error} {error.hint}".strip()


def _nothing(metric: str, service: str, span: tuple[datetime, datetime, datetime]) -> dict[str, Any]:
    start, since, end = span
    return {
        "metric": metric, "service": service, "start": start, "since": since, "end": end, "usage": False, "trend": [],
        "thresholds": [], "causes": [], "segments": [], "edit": [], "before_traces": [], "after_traces": [], "parts": None,
        "cost_causes": [], "before": None, "after": None, "difference": None,
    }  # fmt: skip


def told_of(found: dict[str, Any] | None) -> dict[str, Any]:
    """An explanation (`evalspan why` as data) in the words of the page, numbers in the metric's unit; nothing without one."""
    if not found:
        return {}

    def value(number: float) -> str:
        return format_value(found.get("of", ""), found["metric"], number)

    def change(number: float) -> str:
        return format_difference(found.get("of", ""), found["metric"], number)

    told = {"all": {**found, "effect": found["difference"]}, "mix": found["mix"], "within": found["within"]}
    parts = {
        name: dict(zip(("effect", "low", "high"), map(change, (one["effect"], *one["interval"])), strict=True))
        for name, one in told.items()
    }
    segments = next((one for one in found.get("by_dimension", []) if one["dimension"] == "segment"), None)
    return {
        "causes": [{**one, "where": _where(one)} for one in found["candidates"]],
        "segments": segments["within"]["parts"][:MAX_SEGMENTS] if segments else [],
        "parts": parts,
        "edit": found["prompt_diff"],
        "before": {"mean": value(found["before"]), "n": found["n_before"]},
        "after": {"mean": value(found["after"]), "n": found["n_after"]},
        "difference": found["difference"],
    }


KEYS = {"prompt": "hash", "model": "model", "release": "service.version"}
"""Kinds of causes as keys of the filters of traces."""


def _where(cause: dict[str, Any]) -> dict[str, Any]:
    """The parameters of an address that lists the traces that have a cause; none where no filter says it."""
    kind, value = cause["kind"], cause["value"]
    if cause.get("dimension") == "language":  # no filter of traces says it
        return {}
    if kind in ("segment", "service"):
        return {kind: value}
    if kind == "prompt" and (version := cause.get("label") or (value if " " in value else "")):
        return {"where": f"version={version}"}
    return {"where": f"{KEYS[kind]}={value}"} if kind in KEYS else {}


async def _texts_of(context: PageContext, rows: Rows) -> Rows:
    """Question and answer of each judged call; of a judged trace those of its answering call."""
    spans = await asyncio.gather(
        *(context.first_row("pages/span", trace=row["trace_id"], span=row["span_id"]) for row in rows if row["span_id"])
    )
    found = {(span["trace_id"], span["span_id"]): span for span in spans if span}
    for row in rows:
        span = found.get((row["trace_id"], row["span_id"]), {})
        row["asked"] = messages.last_question(span["input"]) if span else ""
        row["answered"] = output_text(span["output"]) if span else ""
    return rows


async def _note(request: web.Request) -> web.StreamResponse:
    """Acknowledges an alert or finding, or writes a note about it."""
    context, form = page_context(request), await request.post()
    text = {key: str(value).strip() for key, value in form.items()}
    if not text.get("author"):
        raise UsageError("A note needs its author.", hint="Write your name beside it; the browser remembers it.")
    kind = "acknowledged" if text.get("kind") == "acknowledged" else "note"
    if kind == "note" and not text.get("note"):
        raise UsageError("The note is empty.", hint="Write what you found, or acknowledge without a word.")
    await context.insert(
        "alert_notes",
        [
            {
                "project": context.filters.project or "default",
                "note_id": str(uuid.uuid4()),
                "about": text.get("about", "")[:400],
                "kind": kind,
                "author": text["author"][:80],
                "note": text.get("note", "")[:4000],
            }
        ],
    )
    return remember_author(redirect(guard.local_path(text.get("back", "/alerts"))), text["author"])


alert = page("/alerts/{alert:(?:(?!\\.json$)[^/])+}", "why.html", "Alert", early=False)(_alert)
why = page("/why", "why.html", "Why", since="14d", early=False)(_finding)
routes = [*why.routes(), web.post("/alerts/notes", guard.protect(handle_errors(_note))), *alert.routes()]
