"""One trace: the waterfall on the left, the chosen span on the right with messages, scores and a bar to annotate."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from ..queries.trace_tree import role_of
from . import guard, messages
from .filters import stamp
from .page_context import PageContext, Rows, handle_errors, page, page_context, render
from .waterfall import ROWS, Tree, matching_rows, rows, tree

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
    spans, scores = await asyncio.gather(
        spans_of(context, trace_id), context.query("pages/trace_scores", ids=[trace_id], **ALWAYS)
    )
    laid = tree(spans)
    wrong = problems(laid, scores)
    chosen = context.params.get("span", "")
    if chosen not in laid.spans:
        chosen = interesting(laid, scores)
    span, near = await asyncio.gather(
        context.first_row("pages/span", trace=trace_id, span=chosen, at=stamp_ns(laid.spans[chosen])),
        context.first_row("pages/neighbours", trace=trace_id, at=stamp_ns(spans[0]), **ALWAYS),
    )
    failure = next((laid.spans[one] for one in sorted(wrong, key=lambda one: -laid.depth[one]) if _innermost(laid, one)), None)  # fmt: skip
    return {
        "title": laid.spans[laid.roots[0]]["name"] or trace_id[:8],
        "trace_id": trace_id,
        "summary": summary(laid, spans),
        "rows": rows(laid, most=ROWS, must=[chosen, *wrong]),
        "marks": marks(scores),
        "problems": wrong,
        "failure": failure,
        "above": _path(laid, chosen),
        "actors": _actors(laid),
        "scores": scores,
        "near": near,
        **span_parts(span, scores),
    }


def _innermost(laid: Tree, span_id: str) -> bool:
    """Whether a span failed by itself: nothing under it failed."""
    return laid.spans[span_id]["status"] == "ERROR" and laid.below[span_id].errors == 1


def problems(laid: Tree, scores: Rows) -> list[str]:
    """The spans that failed or that an evaluator failed, in reading order: what `e` jumps to."""
    judged = {score["span_id"] for score in scores if score["passed"] == "fail" and score["name"] != "review"}
    return [one for one in laid.order if laid.spans[one]["status"] == "ERROR" or one in judged]


def marks(scores: Rows) -> dict[str, Rows]:
    """The scores that stand beside each span of the waterfall, failed ones first, one per evaluator."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for score in sorted(scores, key=lambda one: one["passed"] != "fail"):
        if score["name"] != "review":
            found.setdefault(score["span_id"], {}).setdefault(score["name"], score)
    return {span_id: list(own.values()) for span_id, own in found.items()}


def _path(laid: Tree, span_id: str) -> list[dict[str, Any]]:
    """The spans from the root down to one, without it."""
    found = []
    while laid.depth.get(span_id, 0):
        span_id = laid.spans[span_id]["parent_span_id"]
        found.append(laid.spans[span_id])
    return found[::-1]


def _actors(laid: Tree) -> list[dict[str, Any]]:
    """The agents and tools of a trace in the order of their first call, with how often and how many calls failed."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for span_id in laid.order:
        span = laid.spans[span_id]
        role = role_of(span)
        name = span["agent_name"] if role == "agent" else span["tool_name"] if role == "tool" else ""
        if name:
            one = found.setdefault((role, name), {"role": role, "name": name, "n": 0, "failed": 0, "span_id": span_id})
            one["n"] += 1
            one["failed"] += span["status"] == "ERROR"
    return list(found.values())


def stamp_ns(span: dict[str, Any]) -> str:
    """When a span began, as a query's parameter."""
    return stamp(span["start_time"])


def interesting(laid: Tree, scores: Sequence[dict[str, Any]] = ()) -> str:
    """The span shown first: the deepest that failed, the worst judged, the call that gave the root's answer, the last call."""
    failed = [one for one in laid.order if _innermost(laid, one)]
    if failed:
        return max(failed, key=lambda one: laid.depth[one])
    judged = [score for score in scores if score["passed"] == "fail" and score["span_id"] in laid.spans and score["name"] != "review"]  # fmt: skip
    if judged:
        return str(min(judged, key=lambda one: (one["score"] is None, one["score"] or 0.0))["span_id"])
    return answering_call(laid)


def answering_call(laid: Tree) -> str:
    """The model call whose words are the root's, else the last model call, else the first root."""
    calls = [
        one for one in laid.order if role_of(laid.spans[one]) == "call" and laid.spans[one]["operation"] != "embeddings"
    ]
    wanted = {laid.spans[root].get("answer") for root in laid.roots} - {0, None}
    same = [one for one in calls if laid.spans[one].get("answer") in wanted]
    if same or calls:
        return max(same or calls, key=lambda one: laid.spans[one]["start_time"])
    return laid.roots[0]


def summary(laid: Tree, spans: Rows) -> dict[str, Any]:
    """What a trace took, cost and was about."""
    calls = [span for span in spans if role_of(span) == "call"]
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


MAX_PATH = 12


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


trace = page("/traces/{trace:[0-9a-fA-F]{1,32}}", "trace.html", "Trace", early=False)(_show)


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
    """Rows that the page left folded among the children of `under`, or the spans that `find` names."""
    context = page_context(request)
    trace_id = request.match_info["trace"]
    spans, scores = await asyncio.gather(
        spans_of(context, trace_id), context.query("pages/trace_scores", ids=[trace_id], **ALWAYS)
    )
    laid = tree(spans)
    wanted, number = context.params.get("find", "").strip(), context.params.get("skip", "0")
    must = problems(laid, scores)
    skip = int(number) if number.isdecimal() else 0
    if wanted:
        found = matching_rows(laid, wanted)
    elif "find" in context.params:
        found = rows(laid, must=must)
    else:
        under, group = context.params.get("under", ""), context.params.get("group", "")
        found = rows(laid, under=under, group=group, skip=skip, must=must) if under else rows(laid, must=must)[skip:]
    about: dict[str, Any] = {"trace_id": trace_id, "rows": found, "span": {}, "marks": marks(scores)}
    return render(context, "trace_rows.html", title="Spans", **about)


_TRACE = "/traces/{trace:[0-9a-fA-F]{1,32}}"
routes = [
    *trace.routes(),
    web.get(f"{_TRACE}/rows", guard.protect(handle_errors(_folded))),
    web.get(f"{_TRACE}/spans/{{span:[0-9a-fA-F]{{1,16}}}}", guard.protect(handle_errors(_span))),
]
