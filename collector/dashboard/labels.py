"""What people write from the pages: a label on a span, spans that become examples; both are rows like any other."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import quote

from aiohttp import web

from ...evaluators.datasets import Example
from ...evaluators.rows import evaluation_row
from ...evaluators.running import Outcome
from ...instrument.errors import UsageError
from ...queries.conversation import input_of, output_text
from ...queries.examples import add_examples
from . import guard
from .trace import ALWAYS, span_parts
from .view import Look, answering, look_at, render

LABELS = {"good": True, "bad": False, "unsure": None}
"""The labels of the annotate bar and whether each is a pass."""
VERSION = "1"
"""Of the guidelines by which people judge; part of a label's identity, as an evaluator's version is of a score's."""
OVERALL = "overall"
NAME = re.compile(r"[A-Za-z0-9._\-]{1,80}")
AUTHOR_SECONDS = 365 * 86400


async def label_span(
    look: Look, span: dict[str, Any], *, name: str, label: str, author: str, note: str = "", weight: float = 1.0
) -> None:
    """Writes one person's judgement of a span; the same person judging it again replaces it.

    `weight` is 1 / the probability with which the span was drawn for judging. Raises UsageError for an unknown label
    or a missing author: an anonymous label cannot be held against another's.
    """
    if label not in LABELS:
        raise UsageError(f"There is no label {label!r}.", hint=f"Choose one of {', '.join(LABELS)}.")
    if not author.strip():
        raise UsageError("A label needs its author.", hint="Write your name beside it; the browser remembers it.")
    passed = LABELS[label]
    value = None if passed is None else float(passed)
    outcome = Outcome(name, VERSION, value=value, label=label, passed=passed, explanation=note or None)
    row = evaluation_row(
        outcome,
        project=span["project"],
        source="human",
        author=author.strip(),
        span=span,
        evaluation_weight=weight,
    )
    await look.insert("evaluations", [row])


async def _annotate(request: web.Request) -> web.StreamResponse:
    """The bar under a span: writes the label, answers with the scores as they are now."""
    look, form = look_at(request), await request.post()
    trace_id, span_id = request.match_info["trace"], request.match_info["span"]
    span = await look.one("pages/span", trace=trace_id, span=span_id)
    if not span:
        raise web.HTTPNotFound(text=f"No span {span_id} in trace {trace_id}.\n")
    author = str(form.get("author", ""))
    await label_span(
        look,
        span,
        name=str(form.get("name") or OVERALL),
        label=str(form.get("label", "")),
        author=author,
        note=str(form.get("note", "")),
    )
    if request.headers.get("HX-Request") != "true":
        return remember_author(see(f"/traces/{trace_id}?span={span_id}"), author)
    scores = await look.ask("pages/trace_scores", ids=[trace_id], **ALWAYS)
    answer = render(look, "span_scores.html", title="Scores", trace_id=trace_id, **span_parts(span, scores))
    return remember_author(answer, author)


def see(address: str) -> web.Response:
    """Sends the browser on after a write."""
    return web.Response(status=303, headers={"Location": address})


def remember_author(answer: web.Response, author: str) -> web.Response:
    """Keeps the name in the browser, for the next label."""
    answer.set_cookie("author", quote(author.strip()), max_age=AUTHOR_SECONDS, samesite="Strict", httponly=True)
    return answer


def example_of(span: dict[str, Any], *, partition: str = "distribution", **more: Any) -> dict[str, Any]:
    """A span as the object of a dataset's line: its input asked again, its output kept beside it as what was answered."""
    metadata = {
        "source_trace_id": span["trace_id"],
        "source_span_id": span["span_id"],
        "observed_output": output_text(span["output"]),
        **more.pop("metadata", {}),
    }
    item = {
        "id": f"{partition}-{span['trace_id'][:12]}-{span['span_id'][:4]}",
        "partition": partition,
        "input": input_of(span["input"]),
        "expected_output": None,
        "metadata": metadata,
        "tags": ["from-trace"],
        **more,
    }
    example = Example(**item)
    return {**example.to_json(), "content_hash": example.content_hash}


async def _from_traces(request: web.Request) -> web.StreamResponse:
    """The chosen traces become examples of a dataset, in the partition of real traffic."""
    look, form = look_at(request), await request.post()
    dataset = str(form.get("dataset", "")).strip()
    if not NAME.fullmatch(dataset):
        raise UsageError(f"{dataset!r} cannot name a dataset.", hint="Letters, digits, dot, dash, underscore.")
    chosen = [str(value).partition(":") for value in form.getall("trace", [])]
    if not chosen:
        raise UsageError("No trace is chosen.", hint="Tick the boxes in the list first.")
    spans = await asyncio.gather(*(_answering_span(look, trace, span) for trace, _, span in chosen[:200]))
    items = [example_of(span) for span in spans if span]
    project = look.filters.project or (spans[0]["project"] if spans and spans[0] else "default")
    await asyncio.to_thread(add_examples, look.service.store, dataset, items, project)
    return see(look.filters.url(f"/datasets/{quote(dataset)}"))


async def _answering_span(look: Look, trace: str, span_id: str) -> dict[str, Any]:
    """The chosen span; when it has no input of its own, the trace's first that has."""
    span = await look.one("pages/span", trace=trace, span=span_id)
    if span and not span["input"]:
        others = await look.ask("pages/trace", trace=trace)
        with_input = next((other["span_id"] for other in others if other["input_bytes"]), span_id)
        span = await look.one("pages/span", trace=trace, span=with_input)
    return span


routes = [
    web.post("/traces/{trace:[0-9a-f]+}/spans/{span:[0-9a-f]+}/annotate", guard.protect(answering(_annotate))),
    web.post("/datasets/from-traces", guard.protect(answering(_from_traces))),
]
