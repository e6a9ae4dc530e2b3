"""Lays out a trace: the tree of its spans, where each bar lies, what is on the critical path, what is folded."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from ..queries.trace_tree import Span, TraceTree, begin_ns, end_ns, role_of, trace_tree

WIDTH = 1000
"""Units across a lane."""
ROWS = 220
"""Rows a page starts with; the rest of a larger trace is folded and loaded on demand."""
SIBLINGS = 40
"""Children shown under one span before the others are folded."""
REPEATED, SHOWN_OF_REPEATED = 8, 2
"""From so many siblings of one name on, these many are shown and the others are one line with their numbers."""
MAX_PROBLEMS = 60
"""Failed and badly judged spans that are shown whatever else is folded."""
_NUMBER = re.compile(r"\d+")
HELPERS = "steps of the web framework"
"""The line that helper spans of web frameworks become."""
# What web frameworks make for each message, and FastAPI for each of its own steps.
_HELPER = re.compile(r" (http|websocket) (send|receive)$|^fastapi\.")


@dataclass(frozen=True)
class Below:
    """What a span and everything under it amounts to."""

    spans: int
    errors: int
    cost_usd: float


@dataclass(frozen=True)
class Tree:
    """A trace as a tree with the page's additions: seconds, totals of each branch, the spans on the critical path."""

    spans: dict[str, Span]
    children: dict[str, list[str]]
    roots: list[str]
    orphans: int
    depth: dict[str, int]
    order: list[str]
    start: float
    length: float
    critical: set[str]
    below: dict[str, Below]


def tree(spans: Sequence[Span]) -> Tree:
    """The tree of a trace's spans, laid out in time; `queries/trace_tree.py` says what becomes of odd parents."""
    built = trace_tree(spans)
    return Tree(
        built.spans,
        built.children,
        built.roots,
        built.orphans,
        built.depth,
        built.order,
        built.start_ns / 1e9,
        max(built.duration_ns / 1e9, 1e-9),
        _critical(built),
        _totals(built),
    )


def _totals(built: TraceTree) -> dict[str, Below]:
    found: dict[str, Below] = {}
    for span_id in reversed(built.order):
        span = built.spans[span_id]
        inside = [found[child] for child in built.children.get(span_id, []) if child in found]
        counted = role_of(span) not in {"agent", "workflow"}
        found[span_id] = Below(
            1 + sum(one.spans for one in inside),
            (span.get("status") == "ERROR") + sum(one.errors for one in inside),
            (span.get("cost_usd") or 0.0) * counted + sum(one.cost_usd for one in inside),
        )
    return found


def rows(
    laid: Tree, *, under: str = "", group: str = "", skip: int = 0, most: int = ROWS, must: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Rows in reading order: of the whole trace, or of what the page folded among the children of `under`.

    A row is a span with `depth`, `x` and `width` of its bar, `children`, `critical`; or a fold with `more`, which is
    opened by `under`, `group` and `skip`. Spans in `must`, and those above them, are shown whatever else is folded.
    """
    kept = _with_ancestors(laid, must)
    if under:
        plain, repeated = _split(laid, laid.children.get(under, []), kept)
        tops = repeated.get(group, [])[skip:] if group else [one for one in plain if one not in kept][skip:]
    else:
        tops = laid.roots
    depth = laid.depth.get(under, -1) + 1
    shown = _chosen(laid, tops, most, kept)
    found: list[dict[str, Any]] = []
    stack = _level(laid, tops, shown, depth, (under, group, skip), kept)
    while stack:
        row = stack.pop()
        found.append(row)
        if "span" in row:
            span_id = row["span"]["span_id"]
            stack += _level(laid, laid.children.get(span_id, []), shown, row["depth"] + 1, (span_id, "", 0), kept)
    return found


def _with_ancestors(laid: Tree, must: Collection[str]) -> set[str]:
    kept: set[str] = set()
    for one in list(must)[:MAX_PROBLEMS]:
        above = one
        while above in laid.spans and above not in kept:
            kept.add(above)
            above = laid.spans[above]["parent_span_id"] if laid.depth[above] else ""
    return kept


def step_of(span: Span) -> str:
    """The name of a step that may be repeated: numbers in it are of no account."""
    return _NUMBER.sub("#", str(span.get("name", "")))


def _split(laid: Tree, ids: Sequence[str], kept: Collection[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Siblings that are shown one by one, and by name those that are repeated and become one line each."""
    helpers = [one for one in ids if _is_helper(laid, one) and one not in kept]
    ids = [one for one in ids if one not in helpers] if helpers else ids
    aside = {HELPERS: helpers} if helpers else {}
    if len(ids) < REPEATED:
        return list(ids), aside
    named: dict[str, list[str]] = {}
    for span_id in ids:
        named.setdefault(step_of(laid.spans[span_id]), []).append(span_id)
    folded = {
        name: [one for one in members[SHOWN_OF_REPEATED:] if one not in kept]
        for name, members in named.items()
        if len(members) >= REPEATED
    }
    hidden = {one for members in folded.values() for one in members}
    shown = [one for one in ids if one not in hidden]
    return shown, {name: members for name, members in folded.items() if members} | aside


def _is_helper(laid: Tree, span_id: str) -> bool:
    """Whether it is a span of the web framework's own, with nothing of the app below it."""
    return bool(_HELPER.search(str(laid.spans[span_id].get("name", "")))) and not laid.children.get(span_id)


def _level(
    laid: Tree, ids: Sequence[str], shown: set[str], depth: int, place: tuple[str, str, int], kept: Collection[str]
) -> list[dict[str, Any]]:
    """The rows of one level, last first, as a stack wants them; what is not shown becomes folds at the end."""
    parent, group, skip = place
    plain, repeated = (list(ids), {}) if group or skip else _split(laid, ids, kept)
    rows_ = [_row(laid, span_id, depth) for span_id in plain if span_id in shown]
    hidden = [span_id for span_id in plain if span_id not in shown]
    if hidden:
        free = sum(span_id in shown and (bool(group) or span_id not in kept) for span_id in plain)
        more = sum(laid.below[span_id].spans for span_id in hidden)
        rows_.append({"more": more, "skip": skip + free, "under": parent, "group": group, "depth": depth})
    for name, members in repeated.items():
        rows_.append({"under": parent, "group": name, "skip": 0, "depth": depth, **_numbers(laid, members)})
    return rows_[::-1]


def _numbers(laid: Tree, members: Sequence[str]) -> dict[str, Any]:
    """A line of repeated steps: how many, how long each takes, how many failed, what they cost."""
    below = [laid.below[span_id] for span_id in members]
    return {
        "more": sum(one.spans for one in below),
        "times": len(members),
        "p50_ns": median(laid.spans[span_id]["duration_ns"] for span_id in members),
        "failed": sum(one.errors > 0 for one in below),
        "cost_usd": sum(one.cost_usd for one in below),
    }


def _chosen(laid: Tree, tops: Sequence[str], most: int, kept: set[str]) -> set[str]:
    """Breadth first, so that a page shows the top of every branch; always what must be seen."""
    shown = set(kept)
    queue = list(tops[: max(SIBLINGS, most // 2)])
    while queue and len(shown) < most:
        following: list[str] = []
        for span_id in queue:
            if len(shown) >= most:
                break
            shown.add(span_id)
            following += _split(laid, laid.children.get(span_id, []), kept)[0][:SIBLINGS]
        queue = following
    return shown


def matching_rows(laid: Tree, text: str, most: int = ROWS) -> list[dict[str, Any]]:
    """The spans whose name, error, tool, agent or model holds a text, in reading order, without the tree."""
    wanted = text.lower()
    columns = ("name", "error_type", "status_message", "tool_name", "agent_name", "request_model", "span_id")
    found = [
        span_id
        for span_id in laid.order
        if any(wanted in str(laid.spans[span_id].get(column, "")).lower() for column in columns)
    ]
    return [{**_row(laid, span_id, 0), "children": 0} for span_id in found[:most]]


def _row(laid: Tree, span_id: str, depth: int) -> dict[str, Any]:
    span = laid.spans[span_id]
    x = (_begin(span) - laid.start) / laid.length * WIDTH
    width = max(span["duration_ns"] / 1e9 / laid.length * WIDTH, 2.5)
    return {
        "span": span,
        "depth": depth,
        "x": round(min(x, WIDTH - width), 1),
        "width": round(width, 1),
        "children": len(laid.children.get(span_id, [])),
        "below": laid.below[span_id],
        "critical": span_id in laid.critical,
        "kind": kind(span),
    }


def kind(span: Span) -> str:
    """The family of a span by its role, which gives the bar its colour."""
    role = role_of(span)
    if role == "call":
        return "embeddings" if span["operation"] == "embeddings" else "chat"
    return {"tool": "tool", "agent": "agent", "workflow": "agent", "retrieval": "retrieval"}.get(role, "span")


def _critical(built: TraceTree) -> set[str]:
    """The chain of spans that decided when the trace ended: from the last end backwards, in every span.

    A child that outlives its parent, as asynchronous work does, took the time all the same.
    """
    ends = {span_id: end_ns(span) for span_id, span in built.spans.items()}
    path: set[str] = set()
    stack = sorted(built.roots, key=ends.__getitem__)[-1:]
    while stack:
        span_id = stack.pop()
        path.add(span_id)
        limit, last = ends[span_id], True
        for child in sorted(built.children.get(span_id, []), key=ends.__getitem__, reverse=True):
            if ends[child] <= limit or last:
                stack.append(child)
                limit = min(limit, begin_ns(built.spans[child]))
            last = False
    return path


def _begin(span: Span) -> float:
    return begin_ns(span) / 1e9
