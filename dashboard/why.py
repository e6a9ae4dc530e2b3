"""One screen for one alert or finding: how it went, what explains it, the prompt's edit, traces before and since, what to do."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from ..errors import UsageError
from ..queries.messages import output_text
from . import guard, messages
from .alert_thresholds import thresholds_for
from .alerts import SILENCES, shown_number, traces_of
from .filters import stamp
from .findings import BACK, IDENTIFIERS
from .labels import redirect, remember_author
from .page_context import PageContext, Rows, handle_errors, page, page_context
from .scores import bucket
from .template_filters import aware
from .text_diff import difference

USAGE = {"error_rate", "latency", "ttft", "cost", "input_tokens", "output_tokens"}
MAX_CAUSES, MAX_SEGMENTS = 12, 8
MAX_TEXT = 12_000
"""Characters of a prompt in which an edit is marked."""


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
    body = await _body(context, metric, service, (start, since, end), rules, usage=usage)
    return {
        **body,
        "title": alert["name"],
        "alert": {**alert, **shown_number(alert, given), "traces": traces_of(context, alert, given)},
        "rule": rule,
        "notes": await context.query("pages/alert_notes", about=alert_id),
        "about": alert_id,
        "silences": SILENCES,
    }


async def _finding(context: PageContext) -> dict[str, Any]:
    """The screen of a score that moved, whether or not an alert watches it."""
    metric = context.params.get("metric", "").split(",")[0].strip()
    if not metric:
        raise UsageError("Which score?", hint="Write /why?metric=faithfulness, or come from the overview or the drift.")
    service = context.filters.service
    rules = await context.query("pages/alert_rules")
    end = min(context.filters.end, datetime.now(UTC))
    start = context.filters.start
    since = await _since(context, metric, service, start, end)
    body = await _body(context, metric, service, (start, since, end), rules, usage=False)
    about = f"score:{service}:{metric}"
    notes = await context.query("pages/alert_notes", about=about)
    return {
        **body,
        "title": f"Why {metric}?",
        "alert": None,
        "rule": {},
        "notes": notes,
        "about": about,
        "silences": {},
    }


async def _since(context: PageContext, metric: str, service: str, start: datetime, end: datetime) -> datetime:
    """Where the mean of a score changed most within the range, else the middle of it."""
    from ..evaluators.drift.change_point import change_point

    size = bucket(end - start, 60)
    times = {"start": stamp(start), "end": stamp(end), "service": service}
    rows = [row for row in await context.query("pages/score_trend", name=metric, bucket_s=size, **times) if row["n"]]
    change = change_point([row["mean"] for row in rows], [float(row["n"]) for row in rows])
    return aware(rows[change.index]["time"]) if change else start + (end - start) / 2


async def _body(
    context: PageContext,
    metric: str,
    service: str,
    span: tuple[datetime, datetime, datetime],
    rules: Rows,
    *,
    usage: bool,
) -> dict[str, Any]:
    start, since, end = span
    times: dict[str, Any] = {"start": stamp(start), "end": stamp(end), "service": service}
    size = bucket(end - start, 48)
    if usage or not metric:
        trend, changed = await asyncio.gather(
            context.query("pages/overview_trend", **times, bucket_s=size),
            context.query("pages/cost_change", **times, middle=stamp(since)),
        )
        return {
            **_nothing(metric, service, span),
            "usage": True,
            "trend": [row for row in trend if row["whole"]],
            "cost_causes": [row for row in changed if row["key"] not in IDENTIFIERS][:MAX_CAUSES],
        }
    trend, found, shown = await asyncio.gather(
        context.query("pages/score_trend", name=metric, **times, bucket_s=size),
        context.query("pages/score_causes", name=metric, **times, middle=stamp(since)),
        context.query("pages/why_traces", name=metric, **times, middle=stamp(since)),
    )
    told = explained(found)
    edit, texts = await asyncio.gather(_prompt_edit(context, told["causes"], times), _texts_of(context, shown))
    return {
        **_nothing(metric, service, span),
        **told,
        "trend": trend,
        "thresholds": thresholds_for(rules, metric),
        "edit": edit,
        "before_traces": [row for row in texts if not row["late"]],
        "after_traces": [row for row in texts if row["late"]],
    }


def _nothing(metric: str, service: str, span: tuple[datetime, datetime, datetime]) -> dict[str, Any]:
    start, since, end = span
    return {
        "metric": metric, "service": service, "start": start, "since": since, "end": end, "usage": False, "trend": [],
        "thresholds": [], "causes": [], "segments": [], "edit": None, "before_traces": [], "after_traces": [],
        "cost_causes": [], "before": None, "after": None, "difference": None, "clipped": since - start < timedelta(hours=6),
    }  # fmt: skip


def explained(found: Rows) -> dict[str, Any]:
    """The change, what explains it, and the segments in which it is largest.

    A value explains the part of the change that is gone when its scores since the change are left out: a prompt that
    came with the fall explains all of it when the other calls score as before.
    """
    whole = next((row for row in found if row["key"] == ""), None)
    if whole is None or not whole["w_before"] or not whole["w_after"]:
        return {"causes": [], "segments": [], "before": None, "after": None, "difference": None}
    before, after = whole["y_before"] / whole["w_before"], whole["y_after"] / whole["w_after"]
    change = after - before
    rows = [_part(row, whole, before, after) for row in found if row["key"]]
    candidates = [
        row
        for row in rows
        if row["key"] not in IDENTIFIERS | {"segment"} and row["n_after"] >= 5 and _moved_with(row, change)
    ]
    causes = sorted(
        candidates, key=lambda row: (-round(row["explains"], 2), not row["is_new"], row["key"] != "version")
    )
    segments = sorted(
        (row for row in rows if row["key"] == "segment" and row["n_before"] >= 5 and row["n_after"] >= 5),
        key=lambda row: row["contribution"] if change < 0 else -row["contribution"],
    )
    return {
        "causes": causes[:MAX_CAUSES],
        "segments": segments[:MAX_SEGMENTS],
        "before": {"mean": before, "n": whole["n_before"]},
        "after": {"mean": after, "n": whole["n_after"]},
        "difference": change,
    }


def _part(row: dict[str, Any], whole: dict[str, Any], before: float, after: float) -> dict[str, Any]:
    """One value with its means, shares, and how much of the whole change is gone without it."""
    mean = {end: row[f"y_{end}"] / row[f"w_{end}"] if row[f"w_{end}"] else None for end in ("before", "after")}
    rest = whole["w_after"] - row["w_after"]
    without = (whole["y_after"] - row["y_after"]) / rest if rest > 1e-9 else before
    explains = 1 - (without - before) / (after - before) if after != before else 0.0
    share_after, share_before = row["w_after"] / whole["w_after"], row["w_before"] / whole["w_before"]
    own = mean["after"] - mean["before"] if mean["after"] is not None and mean["before"] is not None else 0.0
    return {
        "key": row["key"],
        "value": row["value"],
        "n_before": row["n_before"],
        "n_after": row["n_after"],
        "mean_before": mean["before"],
        "mean_after": mean["after"],
        "share_before": share_before,
        "share_after": share_after,
        "explains": max(-1.0, min(1.0, explains)),
        "contribution": own * share_after,
        "is_new": row["n_before"] <= 0.02 * row["n_after"],
        "first_seen": row["first_seen"],
    }


def _moved_with(row: dict[str, Any], change: float) -> bool:
    """Whether a value came, or changed its share or its mean, together with the score."""
    own = (row["mean_after"] or 0.0) - (row["mean_before"] or 0.0) if row["n_before"] and not row["is_new"] else change
    gained = abs(row["share_after"] - row["share_before"]) >= 0.1
    return (row["is_new"] or gained) and own * change >= 0 and row["explains"] > 0.1


async def _prompt_edit(context: PageContext, causes: Rows, times: dict[str, Any]) -> dict[str, Any] | None:
    """What was edited in the prompt that explains most, against the version of the same prompt before it."""
    cause = next((row for row in causes if row["key"] == "version" and row["is_new"]), None)
    if cause is None:
        return None
    name, _, version = cause["value"].rpartition(" ")
    rows = await context.query("pages/prompt_versions", **{**times, "service": ""}, name=name)
    new = next((row for row in rows if row["version"] == version), None)
    older = [row for row in rows if new and row["version"] != version and row["first"] < new["first"]]
    if new is None or not older:
        return None
    old = max(older, key=lambda row: row["last"])
    texts = await texts_of_prompts(context, [old, new])
    before, after = texts[0][:MAX_TEXT], texts[1][:MAX_TEXT]
    return {"prompt": name, "old": old["version"], "new": version, "pieces": difference(before, after), "known": bool(before or after)}  # fmt: skip


async def texts_of_prompts(context: PageContext, rows: Rows) -> list[str]:
    """The system instructions of one call of each version; empty where they were not captured."""
    ids, spans = [row["newest_trace"] for row in rows], [row["newest_span"] for row in rows]
    found = await context.query("pages/prompt_text", traces=ids, spans=spans)
    texts = {(row["trace_id"], row["span_id"]): messages.system_text(row["text"], row["input"]) for row in found}
    return [texts.get(pair, "") for pair in zip(ids, spans, strict=True)]


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


alert = page("/alerts/{alert:(?:(?!\\.json$)[^/])+}", "why.html", "Alert")(_alert)
why = page("/why", "why.html", "Why", since="14d")(_finding)
routes = [*why.routes(), web.post("/alerts/notes", guard.protect(handle_errors(_note))), *alert.routes()]
