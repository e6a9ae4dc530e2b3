"""The annotation: calls drawn as the command draws them, judged blind by key; agreement between people, and with the judge."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any
from urllib.parse import quote

from aiohttp import web

from ..errors import UsageError
from ..evaluators.calibration.annotation import Draw, draw
from ..queries import catalog
from ..queries.messages import output_text
from . import guard, messages
from .labels import LABELS, OVERALL, label_span, redirect, remember_author, withdraw_label
from .page_context import ExecutedQuery, PageContext, Rows, handle_errors, page, page_context
from .scores import agreement

PICKED = "picked"
"""The value of `queue` for spans that somebody picked in the list, rather than drawn ones."""
UNITS = {"span": "this call", "trace": "the whole trace", "conversation": "the whole conversation"}


async def _drawn(context: PageContext, name: str, author: str) -> Draw:
    """The week's draw for a criterion: the same calls as `evalspan annotate` gives everybody."""
    filters = context.filters
    found = await asyncio.to_thread(
        lambda: draw(
            context.host.store,
            metric=name,
            author=author,
            project=filters.project or "default",
            service=filters.service,
            environment=filters.environment,
            week=context.params.get("week", ""),
        )
    )
    query = catalog.get("annotation_draw")
    period = {"metric": name, "author": author, "since": found.since.isoformat(), "until": found.until.isoformat()}
    bound = query.bound({**period, "project": found.project, "service": filters.service})
    context.executed.append(ExecutedQuery(query.name, query.statement(bound), bound))
    return found


async def _show(context: PageContext) -> dict[str, Any]:
    name, author = context.params.get("name", OVERALL), context.author
    by_hand = context.params.get("queue") == PICKED
    drawn, picked, labels, names, human = await asyncio.gather(
        _drawn(context, name, author),
        context.query("pages/queued", name=name, author=author),
        context.query("pages/labels", name=name),
        context.query("pages/evaluation_names"),
        context.first_row("pages/judge_human", name=name),
    )
    queue: Rows = picked if by_hand else drawn.calls
    waiting, done = [row for row in queue if not row["done"]], [row for row in queue if row["done"]]
    skip = int(context.params["skip"]) if context.params.get("skip", "").isdecimal() else 0
    named = context.params.get("case", "")
    judged = [{"trace_id": row["trace_id"], "span_id": row["span_id"], "done": 1} for row in labels if row["author"] == author]  # fmt: skip
    again = next((row for row in [*queue, *judged] if f"{row['trace_id']}:{row['span_id']}" == named), None)
    chosen = again or (waiting[skip % len(waiting)] if waiting else None)
    shown = await _material(context, chosen) if chosen else {"span": {}, "chat": [], "answer": "", "documents": []}
    return {
        "name": name,
        "names": sorted({OVERALL, name, *(row["name"] for row in names)} - {"review", "queued"}),
        "labels": list(LABELS),
        "units": UNITS,
        "total": len(queue),
        "done": len(done),
        "by_hand": by_hand,
        "picked": len(picked),
        "week": drawn.week,
        "weeks": ("this", "last"),
        "probability": chosen.get("probability") if chosen and not by_hand else None,
        "population": drawn.population,
        **shown,
        "again": bool(again and again["done"]),
        "mine": _mine(labels, chosen, author) if again else "",
        "skip": skip + 1 if len(waiting) > 1 else 0,
        "back": f"{done[-1]['trace_id']}:{done[-1]['span_id']}" if done else "",
        "people": _people(labels),
        "between": _between(labels),
        "disputed": _disputed(labels, author),
        "agreement": agreement(human),
    }


async def _material(context: PageContext, chosen: dict[str, Any]) -> dict[str, Any]:
    """What a person needs to judge a call: what was said before, the documents, the answer."""
    span, found = await asyncio.gather(
        context.first_row("pages/span", trace=chosen["trace_id"], span=chosen["span_id"]),
        context.query("pages/trace_documents", trace=chosen["trace_id"]),
    )
    if not span:
        return {"span": {}, "chat": [], "answer": "", "documents": []}
    instructions = span["attributes"].get("gen_ai.system_instructions", "")
    answered = messages.read(span["output"])
    words = "\n".join(
        part["text"] for message in answered for part in message["parts"] if part["type"] in {"text", "call"}
    )
    return {
        "span": {key: span[key] for key in ("trace_id", "span_id", "conversation_id")},
        "chat": messages.read(span["input"]),
        "answer": words or output_text(span["output"]),
        "instructions": messages.plain_text(instructions) if instructions else "",
        "documents": [document for row in found for document in messages.documents(row["output"])],
    }


def _mine(labels: Rows, chosen: dict[str, Any] | None, author: str) -> str:
    own = (
        row["label"]
        for row in labels
        if chosen and row["author"] == author and row["span_id"] == chosen["span_id"] and row["trace_id"] == chosen["trace_id"]
    )  # fmt: skip
    return str(next(own, ""))


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


def _by_span(labels: Rows) -> dict[tuple[str, str], dict[str, str]]:
    by_span: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for row in reversed(labels):
        by_span[row["trace_id"], row["span_id"]][row["author"]] = row["label"]
    return by_span


def _between(labels: Rows) -> dict[str, Any] | None:
    """Krippendorff's alpha over the spans that two or more people judged; None when there are none."""
    shared = [found for found in _by_span(labels).values() if len(found) > 1]
    if not shared:
        return None
    from ..evaluators.statistics import krippendorff_alpha  # here: numpy and scipy are 25 MB that few services need

    people = sorted({author for found in shared for author in found})
    ratings = [[found.get(author) for found in shared] for author in people]
    return {"alpha": krippendorff_alpha(ratings, "nominal"), "n": len(shared), "people": len(people)}


def _disputed(labels: Rows, author: str) -> list[dict[str, Any]]:
    """Calls that people judged differently, to settle; only those that the reader has judged: the others stay blind."""
    return [
        {"trace_id": trace, "span_id": span, "labels": sorted(found.items())}
        for (trace, span), found in _by_span(labels).items()
        if author in found and len(set(found.values())) > 1
    ][:30]


async def _label(request: web.Request) -> web.StreamResponse:
    context, form = page_context(request), await request.post()
    text = {key: str(value).strip() for key, value in form.items()}
    span = await context.first_row("pages/span", trace=text.get("trace", ""), span=text.get("span", ""))
    if not span:
        raise UsageError("This span is not in the store any more.", hint="Open the page again for the next one.")
    name, author = text.get("name") or OVERALL, text.get("author", "")
    by_hand = text.get("queue") == PICKED
    kept = {"name": name, "queue": PICKED if by_hand else "", "week": context.params.get("week", "")}
    if text.get("undo"):
        await withdraw_label(context, span, name=name, author=author)
        case = quote(f"{span['trace_id']}:{span['span_id']}")
        return redirect(context.filters.url("/annotate", **kept, case=case))
    unit = text.get("unit", "span")
    if unit not in UNITS:
        raise UsageError(f"{unit!r} cannot be judged.", hint=f"One of {', '.join(UNITS)}.")
    drawn = [] if by_hand or unit != "span" else (await _drawn(context, name, author)).calls
    row = next(
        (row for row in drawn if row["span_id"] == span["span_id"] and row["trace_id"] == span["trace_id"]), None
    )
    await label_span(
        context,
        span,
        name=name,
        label=text.get("label", ""),
        author=author,
        note=text.get("note", ""),
        weight=1 / row["probability"] if row else 1.0,
        unit="trace" if unit == "trace" else "conversation" if unit == "conversation" else None,
    )
    return remember_author(redirect(context.filters.url("/annotate", **kept)), author)


annotate = page("/annotate", "annotate.html", "Annotate", since="30d")(_show)
routes = [*annotate.routes(), web.post("/annotate", guard.protect(handle_errors(_label)))]
