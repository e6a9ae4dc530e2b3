"""One trace: the waterfall on the left, the chosen span on the right with messages, scores and a bar to annotate."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from aiohttp import web

from . import guard, messages
from .filters import stamp
from .page_context import PageContext, Rows, handle_errors, page, page_context, render
from .waterfall import ROWS, Tree, rows, tree

ALWAYS = {"start": "1970-01-01 00:00:00", "end": "2100-01-01 00:00:00"}
"""A trace is shown whole, whatever time range the address carries."""
HEX = re.compile("[0-9a-f]{1,32}")
HIDDEN = {"gen_ai.system_instructions"}
"""Attributes that the messages already show."""


async def spans_of(context: PageContext, trace_id: str) -> Rows:
    """The spans of a trace in order; 404 with the likely reasons when there are none."""
    found = await context.query("pages/trace", trace=trace_id)
    if not found:
        raise web.HTTPNotFound(
            text=f"No trace {trace_id} in the store: not sampled, past its retention, of another project, "
            "or not here yet. `evalspan status` tells what was dropped and why.\n"
        )
    return found


async def _show(context: PageContext) -> dict[str, Any]:
    trace_id = context.request.match_info["trace"]
    spans = await spans_of(context, trace_id)
    laid = tree(spans)
    chosen = context.params.get("span", "")
    if chosen not in laid.spans:
        chosen = interesting(laid)
    scores, span, near = await asyncio.gather(
        context.query("pages/trace_scores", ids=[trace_id], **ALWAYS),
        context.first_row("pages/span", trace=trace_id, span=chosen),
        context.first_row("pages/neighbours", trace=trace_id, at=stamp_ns(spans[0]), **ALWAYS),
    )
    return {
        "title": laid.spans[laid.roots[0]]["name"] or trace_id[:8],
        "trace_id": trace_id,
        "summary": summary(laid, spans),
        "rows": rows(laid, most=ROWS),
        "scores": scores,
        "near": near,
        **span_parts(span, scores),
    }


def stamp_ns(span: dict[str, Any]) -> str:
    """When a span began, as a query's parameter."""
    return stamp(span["start_time"])


def interesting(laid: Tree) -> str:
    """The span shown first: the first model call, else the first root."""
    calls = [key for key, span in laid.spans.items() if span["role"] == "call" and span["operation"] != "embeddings"]
    return calls[0] if calls else laid.roots[0]


def summary(laid: Tree, spans: Rows) -> dict[str, Any]:
    """What a trace took, cost and was about."""
    calls = [span for span in spans if span["role"] == "call"]
    prices = [span["cost_usd"] for span in calls if span["cost_usd"] is not None]
    first = laid.spans[laid.roots[0]]
    return {
        "spans": len(spans),
        "errors": sum(span["status"] == "ERROR" for span in spans),
        "orphans": laid.orphans,
        "duration_ns": round(laid.length * 1e9),
        "input_tokens": sum(span["input_tokens"] or 0 for span in calls),
        "output_tokens": sum(span["output_tokens"] or 0 for span in calls),
        "cost_usd": sum(prices) if prices else None,
        "start_time": first["start_time"],
        "service": first["service"],
        "environment": first["environment"],
        "user_id": next((span["user_id"] for span in spans if span["user_id"]), ""),
        "conversation_id": next((span["conversation_id"] for span in spans if span["conversation_id"]), ""),
        "prompt": next((f"{s['prompt_name']} {s['prompt_version']}".strip() for s in spans if s["prompt_version"]), ""),
        "sample_weight": first["sample_weight"],
        "sample_rule": first["sample_rule"],
    }


def span_parts(span: dict[str, Any], scores: Rows) -> dict[str, Any]:
    """A span's row as the right side shows it."""
    if not span:
        return {"span": {}, "chat": [], "documents": [], "span_scores": [], "attributes": {}}
    attributes = {key: value for key, value in span["attributes"].items() if key not in HIDDEN}
    found = messages.documents(span["output"]) if span["role"] == "retrieval" else []
    instructions = span["attributes"].get("gen_ai.system_instructions", "")
    chat = messages.read(*([] if found else [span["input"], span["output"]]))
    if instructions:
        chat = [
            {**message, "role": message["role"] or "system"} for message in messages.read(_as_system(instructions))
        ] + chat
    elif found:
        chat = messages.read(span["input"])
    return {
        "span": span,
        "chat": _label_plain(chat, span),
        "documents": found,
        "span_scores": [score for score in scores if score["span_id"] in {span["span_id"], ""}],
        "attributes": attributes,
    }


def _as_system(instructions: str) -> str:
    return f'[{{"role":"system","parts":{instructions}}}]' if instructions.startswith("[") else instructions


def _label_plain(chat: list[messages.Message], span: dict[str, Any]) -> list[messages.Message]:
    """Bodies that are no messages are named for what they are: input and output."""
    names = ["input", "output"] if span["input"] else ["output"]
    return [{**message, "role": message["role"] or names[min(at, len(names) - 1)]} for at, message in enumerate(chat)]


trace = page("/traces/{trace:[0-9a-fA-F]{1,32}}", "trace.html", "Trace")(_show)


async def _span(request: web.Request) -> web.StreamResponse:
    """The right side alone, for a click in the waterfall."""
    context = page_context(request)
    trace_id, span_id = request.match_info["trace"], request.match_info["span"]
    span, scores = await asyncio.gather(
        context.first_row("pages/span", trace=trace_id, span=span_id),
        context.query("pages/trace_scores", ids=[trace_id], **ALWAYS),
    )
    if not span:
        raise web.HTTPNotFound(text=f"No span {span_id} in trace {trace_id}.\n")
    return render(context, "span.html", title="Span", trace_id=trace_id, **span_parts(span, scores))


async def _folded(request: web.Request) -> web.StreamResponse:
    """Rows that the page left folded: the children of `under` from the `skip`-th on."""
    context = page_context(request)
    laid = tree(await spans_of(context, request.match_info["trace"]))
    under, number = context.params.get("under", ""), context.params.get("skip", "0")
    skip = int(number) if number.isdecimal() else 0
    found = rows(laid, under=under, skip=skip) if under else rows(laid)[skip:]
    return render(context, "trace_rows.html", title="Spans", trace_id=request.match_info["trace"], rows=found, span={})


_TRACE = "/traces/{trace:[0-9a-fA-F]{1,32}}"
routes = [
    *trace.routes(),
    web.get(f"{_TRACE}/rows", guard.protect(handle_errors(_folded))),
    web.get(f"{_TRACE}/spans/{{span:[0-9a-fA-F]{{1,16}}}}", guard.protect(handle_errors(_span))),
]
