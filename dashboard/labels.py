"""What people write about a span: a label, and the span as an example; both become rows like any other."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from aiohttp import web

from ..errors import UsageError
from ..evaluators.calibration.annotation import LABEL_VERSION
from ..evaluators.contract import Unit
from ..evaluators.datasets import Example
from ..evaluators.evaluation_rows import evaluation_row
from ..evaluators.runner import EvaluationResult
from ..queries.messages import input_of, output_text
from . import guard
from .page_context import PageContext, handle_errors, page_context, render
from .trace import ALWAYS, span_parts

LABELS = {"good": True, "bad": False, "unsure": None}
"""The labels of the annotate bar and whether each is a pass."""
OVERALL = "overall"
NAME = re.compile(r"[A-Za-z0-9._\-]{1,80}")
AUTHOR_SECONDS = 365 * 86400


async def label_span(
    context: PageContext,
    span: dict[str, Any],
    *,
    name: str,
    label: str,
    author: str,
    note: str = "",
    weight: float = 1.0,
    unit: Unit | None = None,
) -> None:
    """Writes one person's judgement of a span; the same person judging it again replaces it.

    `weight` is 1 / the probability with which the span was drawn for judging; `unit` says that the whole trace or
    conversation is judged, of which `span` is the root or the last turn. Raises UsageError for an unknown label
    or a missing author: an anonymous label cannot be held against another's.
    """
    if label not in LABELS:
        raise UsageError(f"There is no label {label!r}.", hint=f"Choose one of {', '.join(LABELS)}.")
    if not author.strip():
        raise UsageError("A label needs its author.", hint="Write your name beside it; the browser remembers it.")
    passed = LABELS[label]
    value = None if passed is None else float(passed)
    outcome = EvaluationResult(name, LABEL_VERSION, value=value, label=label, passed=passed, explanation=note or None)
    row = evaluation_row(
        outcome,
        project=span["project"],
        source="human",
        author=author.strip(),
        span=span,
        evaluation_weight=weight,
        unit=unit,
    )
    await context.insert("evaluations", [row])


async def withdraw_label(
    context: PageContext, span: dict[str, Any], *, name: str, author: str, unit: Unit | None = None
) -> None:
    """Takes one person's label of a span, its trace or its conversation back; deleted until it is labelled again."""
    outcome = EvaluationResult(name, LABEL_VERSION)
    row = evaluation_row(outcome, project=span["project"], source="human", author=author.strip(), span=span, unit=unit)
    await context.insert("evaluations", [{**row, "is_deleted": 1}])


async def _annotate(request: web.Request) -> web.StreamResponse:
    """The bar under a span: writes the label, answers with the scores as they are now."""
    context, form = page_context(request), await request.post()
    trace_id, span_id = request.match_info["trace"], request.match_info["span"]
    span = await context.first_row("pages/span", trace=trace_id, span=span_id)
    if not span:
        raise web.HTTPNotFound(text=f"No span {span_id} in trace {trace_id}.\n")
    author = str(form.get("author", ""))
    await label_span(
        context,
        span,
        name=str(form.get("name") or OVERALL),
        label=str(form.get("label", "")),
        author=author,
        note=str(form.get("note", "")),
    )
    if request.headers.get("HX-Request") != "true":
        return remember_author(redirect(f"/traces/{trace_id}?span={span_id}"), author)
    scores = await context.query("pages/trace_scores", ids=[trace_id], **ALWAYS)
    answer = render(context, "span_scores.html", title="Scores", trace_id=trace_id, **span_parts(span, scores))
    return remember_author(answer, author)


def redirect(address: str) -> web.Response:
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


routes = [
    web.post("/traces/{trace:[0-9a-f]+}/spans/{span:[0-9a-f]+}/annotate", guard.protect(handle_errors(_annotate))),
]
