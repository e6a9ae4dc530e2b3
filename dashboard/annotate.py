"""The annotation: calls drawn as the command draws them, judged blind by key; agreement between people, and with the judge."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from ..errors import UsageError
from ..evaluators.calibration.annotation import Draw, draw
from ..evaluators.trajectory.stored import with_trajectory_texts
from ..queries import catalog
from ..queries.messages import output_text
from . import guard, messages
from .labels import LABELS, OVERALL, label_span, redirect, remember_author, withdraw_label
from .page_context import ExecutedQuery, PageContext, Rows, handle_errors, page, page_context
from .scores import agreement

if TYPE_CHECKING:
    from ..evaluators.contract import Unit

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
    drawn, picked, labels, names, human, rubric = await asyncio.gather(
        _drawn(context, name, author),
        context.query("pages/queued", name=name, author=author),
        context.query("pages/labels", name=name),
        context.query("pages/evaluation_names"),
        context.first_row("pages/judge_human", name=name),
        context.first_row("pages/rubric", name=name),
    )
    queue: Rows = picked if by_hand else drawn.calls
    own = [row for row in labels if row["author"] == author]
    # Who judged the whole trace or conversation of a call is not asked for the call again.
    wholes = {case_of(row) for row in own if row["unit"] != "span"}
    for row in queue:
        row["done"] = row["done"] or not wholes.isdisjoint({f"{row['trace_id']}::", f"::{row.get('conversation_id')}"})
    waiting, done = [row for row in queue if not row["done"]], [row for row in queue if row["done"]]
    skip = int(context.params["skip"]) if context.params.get("skip", "").isdecimal() else 0
    named = context.params.get("case", "")
    again = next((row for row in [*queue, *({**row, "done": 1} for row in own)] if case_of(row) == named), None)
    chosen = again or (waiting[skip % len(waiting)] if waiting else None)
    shown = await _material(context, chosen) if chosen else NOTHING
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
        "mine": next((row["label"] for row in own if chosen and case_of(row) == case_of(chosen)), "") if again else "",
        "rubric": rubric,
        "skip": skip + 1 if len(waiting) > 1 else 0,
        "back": case_of(done[-1]) if done else "",
        "people": _people(labels),
        "between": _between(labels),
        "disputed": _disputed(labels, author),
        "agreement": agreement(human),
    }


def case_of(row: dict[str, Any]) -> str:
    """What is judged as an address names it: trace, span and conversation; the last two only where they are it."""
    unit = row.get("unit", "span")
    if unit == "conversation":
        return f"::{row['conversation_id']}"
    return f"{row['trace_id']}::" if unit == "trace" else f"{row['trace_id']}:{row['span_id']}:"


NOTHING: dict[str, Any] = {"span": {}, "chat": [], "answer": "", "documents": []}


async def _whole(context: PageContext, chosen: dict[str, Any]) -> dict[str, Any]:
    """What a person needs to judge a whole trace or conversation: what was asked, and all that was done."""
    if "output" not in chosen:  # a label of before, which is judged again
        project = chosen.get("project") or context.filters.project or "default"
        found = await asyncio.to_thread(with_trajectory_texts, context.host.store, [chosen], project)
        if not found:
            return NOTHING
        chosen = found[0]
    return {
        "span": {"span_id": "", **{key: chosen[key] for key in ("trace_id", "conversation_id")}},
        "chat": [{"role": "user", "parts": [{"type": "text", "text": chosen["input"]}]}] if chosen["input"] else [],
        "answer": chosen["output"],
        "documents": [],
        "unit": chosen["unit"],
    }


async def _material(context: PageContext, chosen: dict[str, Any]) -> dict[str, Any]:
    """What a person needs to judge a call: what was said before, the documents, the answer."""
    if chosen.get("unit", "span") != "span":
        return await _whole(context, chosen)
    span, found = await asyncio.gather(
        context.first_row("pages/span", trace=chosen["trace_id"], span=chosen["span_id"]),
        context.query("pages/trace_documents", trace=chosen["trace_id"]),
    )
    if not span:
        return NOTHING
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


def _by_span(labels: Rows) -> dict[str, dict[str, str]]:
    by_span: dict[str, dict[str, str]] = defaultdict(dict)
    for row in reversed(labels):
        by_span[case_of(row)][row["author"]] = row["label"]
    return by_span


def _between(labels: Rows) -> dict[str, Any] | None:
    """Krippendorff's alpha over the spans that two or more people judged; None when there are none."""
    shared = [found for found in _by_span(labels).values() if len(found) > 1]
    if not shared:
        return None
    from ..evaluators.statistics import krippendorff_alpha  # here: numpy is 10 MB that few services need

    people = sorted({author for found in shared for author in found})
    ratings = [[found.get(author) for found in shared] for author in people]
    return {"alpha": krippendorff_alpha(ratings, "nominal"), "n": len(shared), "people": len(people)}


def _disputed(labels: Rows, author: str) -> list[dict[str, Any]]:
    """Calls that people judged differently, to settle; only those that the reader has judged: the others stay blind."""
    return [
        {
            "case": case,
            **dict(zip(("trace_id", "span_id", "conversation_id"), case.split(":", 2), strict=True)),
            "labels": sorted(found.items()),
        }
        for case, found in _by_span(labels).items()
        if author in found and len(set(found.values())) > 1
    ][:30]


async def _label(request: web.Request) -> web.StreamResponse:
    context, form = page_context(request), await request.post()
    text = {key: str(value).strip() for key, value in form.items()}
    name, author = text.get("name") or OVERALL, text.get("author", "")
    by_hand = text.get("queue") == PICKED
    unit = text.get("unit") or "span"
    if unit not in UNITS:
        raise UsageError(f"{unit!r} cannot be judged.", hint=f"One of {', '.join(UNITS)}.")
    span, weight = await _judged(context, text, name=name, drawn=not by_hand)
    whole = None if unit == "span" else cast("Unit", unit)
    kept = {"name": name, "queue": PICKED if by_hand else "", "week": context.params.get("week", "")}
    if text.get("undo"):
        await withdraw_label(context, span, name=name, author=author, unit=whole)
        return redirect(context.filters.url("/annotate", **kept, case=case_of({**span, "unit": unit})))
    note = text.get("note", "")
    label = text.get("label", "")
    drawn_unit = span.get("unit", "span") == unit
    await label_span(context, span, name=name, label=label, author=author, note=note, weight=weight if drawn_unit else 1.0, unit=whole)  # fmt: skip
    return remember_author(redirect(context.filters.url("/annotate", **kept)), author)


async def _judged(
    context: PageContext, text: dict[str, str], *, name: str, drawn: bool
) -> tuple[dict[str, Any], float]:
    """What the form names, with the weight of the draw if it was drawn. Raises UsageError when it is not stored any more."""
    ids = {key: text.get(key, "") for key in ("trace", "span", "conversation")}
    named = {f"{ids['trace']}:{ids['span']}:", f"::{ids['conversation']}" if not ids["trace"] else ""}
    calls = (await _drawn(context, name, text.get("author", ""))).calls if drawn else []
    row = next((row for row in calls if case_of(row) in named), None)
    weight = 1 / row["probability"] if row else 1.0
    project = context.filters.project or "default"
    if ids["span"]:
        span = await context.first_row("pages/span", trace=ids["trace"], span=ids["span"])
    else:
        about = {"trace_id": ids["trace"], "span_id": "", "conversation_id": ids["conversation"]}
        span = {**about, "unit": "trace" if ids["trace"] else "conversation", **(row or {}), "project": project}
        if row is None:
            found = await asyncio.to_thread(with_trajectory_texts, context.host.store, [span], project)
            span = span if found else {}
    if not span:
        raise UsageError("This span is not in the store any more.", hint="Open the page again for the next one.")
    return span, weight


annotate = page("/annotate", "annotate.html", "Annotate", since="30d")(_show)
routes = [*annotate.routes(), web.post("/annotate", guard.protect(handle_errors(_label)))]
