"""What can be done with the traces that are ticked in the list: examples of a dataset, work for annotators, input of a suite."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from aiohttp import web

from ..errors import UsageError
from ..evaluators.calibration.annotation import LABEL_VERSION
from ..evaluators.evaluation_rows import evaluation_row
from ..evaluators.runner import EvaluationResult
from ..queries.examples import add_examples
from . import guard
from .labels import NAME, OVERALL, example_of, redirect, remember_author
from .page_context import PageContext, handle_errors, page_context, render
from .trace import HEX

QUEUED = "queued"
"""The name under which a pick is stored; its label is what is to be judged."""
MAX_CHOSEN = 200


async def _picked(context: PageContext, chosen: list[str]) -> list[dict[str, Any]]:
    """The ticked spans, in the order of the list. Raises UsageError when none is ticked or none is left."""
    if not chosen:
        raise UsageError("No trace is chosen.", hint="Tick the boxes in the list first.")
    pairs = [value.partition(":") for value in chosen[:MAX_CHOSEN]]
    spans = await asyncio.gather(*(_with_input(context, trace, span) for trace, _, span in pairs))
    found = [span for span in spans if span]
    if not found:
        raise UsageError("None of the chosen traces is in the store.", hint="Reload the list and choose again.")
    return found


async def _with_input(context: PageContext, trace: str, span_id: str) -> dict[str, Any]:
    """The chosen span; when it has no input of its own, the trace's first that has."""
    span = await context.first_row("pages/span", trace=trace, span=span_id)
    if span and not span["input"]:
        others = await context.query("pages/trace", trace=trace)
        with_input = next((other["span_id"] for other in others if other["input_bytes"]), span_id)
        span = await context.first_row("pages/span", trace=trace, span=with_input)
    return span


async def _to_dataset(request: web.Request) -> web.StreamResponse:
    """The chosen traces become examples of a dataset, in the partition of real traffic."""
    context, form = page_context(request), await request.post()
    dataset = str(form.get("dataset", "")).strip()
    if not NAME.fullmatch(dataset):
        raise UsageError(f"{dataset!r} cannot name a dataset.", hint="Letters, digits, dot, dash, underscore.")
    spans = await _picked(context, [str(value) for value in form.getall("trace", [])])
    project = context.filters.project or spans[0]["project"]
    await asyncio.to_thread(add_examples, context.host.store, dataset, [example_of(span) for span in spans], project)
    return redirect(context.filters.url(f"/datasets/{quote(dataset)}"))


async def _to_queue(request: web.Request) -> web.StreamResponse:
    """The chosen traces wait on the annotate page for whoever judges there."""
    context, form = page_context(request), await request.post()
    name, author = str(form.get("name", "")).strip() or OVERALL, str(form.get("author", "")).strip()
    spans = await _picked(context, [str(value) for value in form.getall("trace", [])])
    rows = [
        evaluation_row(
            EvaluationResult(QUEUED, LABEL_VERSION, label=name),
            project=span["project"],
            source="human",
            # One pick a criterion: the author is part of the row's identity.
            author=f"{author or 'somebody'} for {name}",
            span=span,
            evaluation_weight=0.0,
        )
        for span in spans
    ]
    await context.insert("evaluations", rows)
    answer = redirect(context.filters.url("/annotate", name=name, queue="picked"))
    return remember_author(answer, author) if author else answer


async def _to_suite(request: web.Request) -> web.StreamResponse:
    """The commands that put the chosen traces through a suite: evaluators are the reader's code, which runs where it is."""
    context, form = page_context(request), await request.post()
    chosen = [str(value).partition(":")[0] for value in form.getall("trace", [])][:MAX_CHOSEN]
    ids = [one for one in chosen if HEX.fullmatch(one)]
    if not ids:
        raise UsageError("No trace is chosen.", hint="Tick the boxes in the list first.")
    listed = ", ".join(f"'{one}'" for one in ids)
    project = f" --project {context.filters.project}" if NAME.fullmatch(context.filters.project) else ""
    where = f"role = 'call' AND operation != 'embeddings' AND trace_id IN ({listed})"
    command = f'evalspan score --since {context.filters.since or "30d"}{project} --suite module:suite --where "{where}"'
    return render(context, "picked.html", title="Evaluate", traces=ids, command=command)


routes = [
    web.post("/datasets/from-traces", guard.protect(handle_errors(_to_dataset))),
    web.post("/annotate/queue", guard.protect(handle_errors(_to_queue))),
    web.post("/traces/evaluate", guard.protect(handle_errors(_to_suite))),
]
