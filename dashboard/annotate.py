"""The annotation: spans drawn by probability, judged blind, by hot-key; agreement between people, and with the judge."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from aiohttp import web

from ..errors import UsageError
from ..queries.messages import output_text
from . import guard, messages
from .labels import LABELS, OVERALL, label_span, redirect, remember_author
from .page_context import PageContext, Rows, handle_errors, page, page_context
from .scores import agreement

DRAW = 20
"""Spans of one draw: what a reviewer does in a week."""
PICKED = "picked"
"""The value of `queue` for spans that somebody picked in the list, rather than drawn ones."""


async def _show(context: PageContext) -> dict[str, Any]:
    name, author = context.params.get("name", OVERALL), context.author
    by_hand = context.params.get("queue") == PICKED
    drawn, picked, labels, names, human = await asyncio.gather(
        context.query("pages/annotation_queue", name=name, author=author, rows=DRAW),
        context.query("pages/queued", name=name, author=author),
        context.query("pages/labels", name=name),
        context.query("pages/score_names"),
        context.first_row("pages/judge_human", name=name),
    )
    queue = picked if by_hand else drawn
    waiting = [row for row in queue if not row["done"]]
    chosen = waiting[0] if waiting else None
    span = await context.first_row("pages/span", trace=chosen["trace_id"], span=chosen["span_id"]) if chosen else {}
    return {
        "name": name,
        "names": sorted({OVERALL, name, *(row["name"] for row in names)} - {"review", "queued"}),
        "labels": list(LABELS),
        "total": len(queue),
        "done": len(queue) - len(waiting),
        "by_hand": by_hand,
        "picked": len(picked),
        "probability": chosen["drawn"] / chosen["total"] if chosen and not by_hand else None,
        "population": drawn[0]["total"] if drawn else 0,
        "span": {key: span[key] for key in ("trace_id", "span_id")} if span else {},
        "chat": messages.read(span["input"]) if span else [],
        "answer": output_text(span["output"]) if span else "",
        "people": _people(labels),
        "between": _between(labels),
        "agreement": agreement(human),
    }


def _people(labels: Rows) -> list[dict[str, Any]]:
    """How much each person labelled and how often they failed something."""
    counted: dict[str, dict[str, Any]] = {}
    for row in labels:
        person = counted.setdefault(
            row["author"], {"author": row["author"], "n": 0, "bad": 0, "last": row["created_at"]}
        )
        person["n"] += 1
        person["bad"] += row["passed"] == "fail"
    return list(counted.values())


def _between(labels: Rows) -> dict[str, Any] | None:
    """Krippendorff's alpha over the spans that two or more people judged; None when there are none."""
    by_span: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for row in reversed(labels):
        by_span[row["trace_id"], row["span_id"]][row["author"]] = row["label"]
    shared = [found for found in by_span.values() if len(found) > 1]
    if not shared:
        return None
    from ..evaluators.statistics import krippendorff_alpha  # here: numpy and scipy are 25 MB that few services need

    people = sorted({author for found in shared for author in found})
    ratings = [[found.get(author) for found in shared] for author in people]
    return {"alpha": krippendorff_alpha(ratings, "nominal"), "n": len(shared), "people": len(people)}


async def _label(request: web.Request) -> web.StreamResponse:
    context, form = page_context(request), await request.post()
    text = {key: str(value).strip() for key, value in form.items()}
    span = await context.first_row("pages/span", trace=text.get("trace", ""), span=text.get("span", ""))
    if not span:
        raise UsageError("This span is not in the store any more.", hint="Open the page again for the next one.")
    name, author = text.get("name") or OVERALL, text.get("author", "")
    by_hand = text.get("queue") == PICKED
    drawn = [] if by_hand else await context.query("pages/annotation_queue", name=name, author=author, rows=DRAW)
    row = next((row for row in drawn if row["span_id"] == span["span_id"]), None)
    weight = row["total"] / row["drawn"] if row else 1.0
    label, note = text.get("label", ""), text.get("note", "")
    await label_span(context, span, name=name, label=label, author=author, note=note, weight=weight)
    return remember_author(
        redirect(context.filters.url("/annotate", name=name, queue=PICKED if by_hand else "")), author
    )


annotate = page("/annotate", "annotate.html", "Annotate", since="7d")(_show)
routes = [*annotate.routes(), web.post("/annotate", guard.protect(handle_errors(_label)))]
