"""The prompts: each with its versions on a time line, their share of the calls, scores, latency and cost, and any two compared."""

from __future__ import annotations

import asyncio
from typing import Any

from ..errors import UsageError
from . import messages
from .explore import mean_interval, of_unit, wilson
from .page_context import PageContext, Rows, page
from .scores import bucket
from .text_diff import difference

POINTS = 60
MAX_PROMPTS = 500
MAX_TEXT = 12_000
"""Characters of a prompt in which an edit is marked."""


async def _list(context: PageContext) -> dict[str, Any]:
    size = bucket(context.filters.end - context.filters.start, POINTS)
    versions, scores, shares = await asyncio.gather(
        context.query("pages/prompt_versions"),
        context.query("pages/prompt_scores"),
        context.query("pages/prompt_shares", bucket_s=size),
    )
    prompts: dict[str, dict[str, Any]] = {}
    for row in _with_scores(versions, scores):
        one = prompts.setdefault(row["prompt"], {"prompt": row["prompt"], "named": row["named"], "versions": []})
        one["versions"].append(row)
    shares_of = _by("prompt", shares)
    for one in prompts.values():
        one["calls"] = sum(row["calls"] for row in one["versions"])
        one["newest"] = max(one["versions"], key=lambda row: row["first"])
        one["line"] = time_line(shares_of.get(one["prompt"], []), one["versions"])
    if len(prompts) > MAX_PROMPTS:
        context.cut.append("prompts")
    return {"prompts": sorted(prompts.values(), key=lambda one: (not one["named"], -one["calls"]))[:MAX_PROMPTS]}


async def _one(context: PageContext) -> dict[str, Any]:
    name = context.request.match_info["prompt"]
    size = bucket(context.filters.end - context.filters.start, POINTS)
    versions, scores, shares, runs = await asyncio.gather(
        context.query("pages/prompt_versions", name=name),
        context.query("pages/prompt_scores", name=name),
        context.query("pages/prompt_shares", name=name, bucket_s=size),
        context.query("pages/experiments"),
    )
    rows = _with_scores(versions, scores)
    chosen = _pair(context, rows)
    texts = await _texts_of_prompts(context, chosen) if chosen else []
    times = sorted({row["time"] for row in shares})
    all_of = {time: sum(row["calls"] for row in rows) for time, rows in _by("time", shares).items()}
    labels = [row["version"] for row in rows]
    share = {(row["time"], row["version"]): row["calls"] / all_of[row["time"]] for row in shares if all_of[row["time"]]}
    return {
        "title": name,
        "prompt": name,
        "versions": rows,
        "metrics": sorted({score["metric"] for row in rows for score in row["scores"]}),
        "labels": labels,
        "series": [{"time": time, "values": [share.get((time, label), 0.0) for label in labels]} for time in times],
        "a": chosen[0]["version"] if chosen else "",
        "b": chosen[1]["version"] if chosen else "",
        "pieces": difference(texts[0][:MAX_TEXT], texts[1][:MAX_TEXT]) if texts and any(texts) else [],
        "captured": any(texts),
        "runs": [row for row in runs if row["prompt_name"] == name],
    }


async def _texts_of_prompts(context: PageContext, rows: Rows) -> list[str]:
    """The system instructions of one call of each version; empty where they were not captured."""
    ids, spans = [row["newest_trace"] for row in rows], [row["newest_span"] for row in rows]
    found = await context.query("pages/prompt_text", traces=ids, spans=spans)
    texts = {(row["trace_id"], row["span_id"]): messages.system_text(row["text"], row["input"]) for row in found}
    return [texts.get(pair, "") for pair in zip(ids, spans, strict=True)]


def _pair(context: PageContext, rows: Rows) -> Rows:
    """The two versions to compare: of the address, else the newest and the one before it. Raises UsageError."""
    of = {row["version"]: row for row in rows}
    named = [context.params.get(end, "") for end in ("a", "b")]
    if any(named):
        missing = next((name for name in named if name not in of), None)
        if missing is not None:
            raise UsageError(f"This prompt has no version {missing!r} in the range.", hint="Widen the range.")
        return [of[name] for name in named]
    newest = sorted(rows, key=lambda row: row["first"])[-2:]
    return newest if len(newest) == 2 else [*newest, *newest]


def _by(column: str, rows: Rows) -> dict[Any, Rows]:
    """The rows by their value of a column, in their order: names are many when a sender makes them up."""
    found: dict[Any, Rows] = {}
    for row in rows:
        found.setdefault(row[column], []).append(row)
    return found


def _with_scores(versions: Rows, scores: Rows) -> Rows:
    of: dict[tuple[str, str], Rows] = {}
    for row in scores:
        row["low"], row["high"] = mean_interval(row)
        row["metric"] = of_unit(row["metric"], row["unit"])
        of.setdefault((row["prompt"], row["version"]), []).append(row)
    for row in versions:
        row["scores"] = of.get((row["prompt"], row["version"]), [])
        row["error_rate"] = row["errors"] / row["calls"] if row["calls"] else 0.0
        row["error"] = wilson(row["error_rate"], row["effective_n"])
    return versions


def time_line(shares: Rows, versions: Rows) -> list[dict[str, Any]]:
    """Where each version was used, as places on a line from 0 to 100, with its largest share of the calls there."""
    times = sorted({row["time"] for row in shares})
    if not times:
        return []
    whole = max((times[-1] - times[0]).total_seconds(), 1.0)
    found, shares_of = [], _by("version", shares)
    for at, row in enumerate(sorted(versions, key=lambda one: one["first"])):
        used = [one["time"] for one in shares_of.get(row["version"], [])]
        if used:
            x = 100 * (min(used) - times[0]).total_seconds() / whole
            end = 100 * (max(used) - times[0]).total_seconds() / whole
            found.append({"version": row["version"], "x": round(min(x, 98.0), 1), "width": round(max(end - x, 2.0), 1), "tone": at % 6})  # fmt: skip
    return found


prompts = page("/prompts", "prompts.html", "Prompts", since="30d")(_list)
prompt = page("/prompts/{prompt:(?:(?!\\.json$).)+}", "prompt.html", "Prompt", since="30d", early=False)(_one)
routes = [*prompts.routes(), *prompt.routes()]
