"""Two traces side by side: what each took and cost, span by span in reading order, what was said, how it was judged."""

from __future__ import annotations

import asyncio
import difflib
from typing import Any

from aiohttp import web

from ..errors import UsageError
from ..queries.messages import output_text
from . import guard, messages
from .labels import redirect
from .page_context import PageContext, Rows, handle_errors, page, page_context
from .text_diff import difference
from .trace import ALWAYS, HEX, answering_call, spans_of, summary
from .waterfall import Tree, rows, tree

MAX_SPANS = 400
"""Spans of each trace that are set against each other."""
MAX_MARKED = 6000
"""Characters of a text in which differences are marked."""


async def _show(context: PageContext) -> dict[str, Any]:
    ids = [context.request.match_info[name] for name in ("trace", "other")]
    found = await asyncio.gather(*(spans_of(context, one) for one in ids))
    trees = [tree(spans) for spans in found]
    said = await asyncio.gather(*(_texts(context, one, laid) for one, laid in zip(ids, trees, strict=True)))
    scores = await context.query("pages/trace_scores", ids=ids, **ALWAYS)
    return {
        "traces": [
            {
                "trace_id": one,
                "name": laid.spans[laid.roots[0]]["name"],
                "models": _models(spans),
                **summary(laid, spans),
            }
            for one, laid, spans in zip(ids, trees, found, strict=True)
        ],
        "rows": aligned(*trees),
        "texts": [
            {"name": name, "pieces": difference(old[:MAX_MARKED], new[:MAX_MARKED]), "before": old[:MAX_MARKED]}
            for name, old, new in zip(("system", "question", "answer"), *said, strict=True)
            if old or new
        ],
        "scores": _scores(scores, ids),
    }


def aligned(before: Tree, after: Tree) -> list[dict[str, Any]]:
    """The spans of two traces in reading order, those of the same depth and name beside each other."""
    left, right = _flat(before), _flat(after)
    old_keys, new_keys = ([(row["depth"], row["span"]["name"]) for row in side] for side in (left, right))
    found: list[dict[str, Any]] = []
    matcher = difflib.SequenceMatcher(a=old_keys, b=new_keys, autojunk=False)
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind == "equal":
            found += [_pair(old, new) for old, new in zip(left[i1:i2], right[j1:j2], strict=True)]
            continue
        found += [_pair(row, None) for row in left[i1:i2]]
        found += [_pair(None, row) for row in right[j1:j2]]
    return found


def _flat(laid: Tree) -> list[dict[str, Any]]:
    return [row for row in rows(laid, most=MAX_SPANS) if "span" in row][:MAX_SPANS]


def _pair(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
    one = before or after or {}
    pair = [row and row["span"] for row in (before, after)]
    longer = after["span"]["duration_ns"] - before["span"]["duration_ns"] if before and after else None
    return {"depth": one["depth"], "kind": one["kind"], "name": one["span"]["name"], "spans": pair, "longer_ns": longer}


async def _texts(context: PageContext, trace_id: str, laid: Tree) -> tuple[str, str, str]:
    """System instructions, last question and answer of the call that gave a trace's answer."""
    span = await context.first_row("pages/span", trace=trace_id, span=answering_call(laid))
    question = messages.last_question(span["input"])
    system = messages.plain_text(span["attributes"].get("gen_ai.system_instructions", ""))
    return system, question, output_text(span["output"]) or span["status_message"]


def _models(spans: Rows) -> list[str]:
    return sorted({span["request_model"] for span in spans if span["request_model"]})


def _scores(scores: Rows, ids: list[str]) -> list[dict[str, Any]]:
    """Each evaluator's newest judgement of either trace; two versions of one evaluator are two lines."""
    names = sorted(
        {(row["name"], row["evaluator_version"], row["source"]) for row in scores if row["name"] != "review"}
    )
    newest = {(row["name"], row["evaluator_version"], row["source"], row["trace_id"]): row for row in scores}
    return [
        {
            "name": name,
            "version": version,
            "source": source,
            "of": [newest.get((name, version, source, one)) for one in ids],
        }
        for name, version, source in names
    ]


async def _compare(request: web.Request) -> web.StreamResponse:
    """From two ticked rows, or an id typed beside a trace, to the page that compares them."""
    context, form = page_context(request), await request.post()
    chosen = [str(value).partition(":")[0].strip().lower() for value in form.getall("trace", [])]
    if len(chosen) != 2 or not all(HEX.fullmatch(one) for one in chosen):
        raise UsageError(
            f"Two traces are compared, and {len(chosen)} are named.", hint="Tick two rows in the list, or give two ids."
        )
    return redirect(context.filters.url(f"/traces/{chosen[0]}/against/{chosen[1]}"))


_ID = "[0-9a-fA-F]{1,32}"
diff = page(f"/traces/{{trace:{_ID}}}/against/{{other:{_ID}}}", "trace_diff.html", "Two traces")(_show)
routes = [web.post("/traces/compare", guard.protect(handle_errors(_compare))), *diff.routes()]
