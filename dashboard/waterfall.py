"""Lays out a trace: the tree of its spans, where each bar lies, what is on the critical path, what is folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..queries.trace_tree import Span, TraceTree, begin_ns, end_ns, role_of, trace_tree

WIDTH = 1000
"""Units across a lane."""
ROWS = 220
"""Rows a page starts with; the rest of a larger trace is folded and loaded on demand."""
SIBLINGS = 40
"""Children shown under one span before the others are folded."""


@dataclass(frozen=True)
class Tree:
    """A trace as a tree with the page's additions: seconds, and the spans on the critical path."""

    spans: dict[str, Span]
    children: dict[str, list[str]]
    roots: list[str]
    orphans: int
    depth: dict[str, int]
    start: float
    length: float
    critical: set[str]


def tree(spans: Sequence[Span]) -> Tree:
    """The tree of a trace's spans, laid out in time; `queries/trace_tree.py` says what becomes of odd parents."""
    built = trace_tree(spans)
    return Tree(
        built.spans,
        built.children,
        built.roots,
        built.orphans,
        built.depth,
        built.start_ns / 1e9,
        max(built.duration_ns / 1e9, 1e-9),
        _critical(built),
    )


def rows(laid: Tree, *, under: str = "", skip: int = 0, most: int = ROWS) -> list[dict[str, Any]]:
    """Rows in reading order: of the whole trace, or of the children of `under` from the `skip`-th on.

    A row is a span with `depth`, `x` and `width` of its bar, `children`, `critical`; or a fold with `more` and `skip`.
    """
    tops = laid.children.get(under, [])[skip:] if under else laid.roots
    depth = laid.depth.get(under, -1) + 1
    shown = _chosen(laid, tops, most)
    found: list[dict[str, Any]] = []
    stack = _level(laid, tops, shown, depth, under, skip)
    while stack:
        row = stack.pop()
        found.append(row)
        if "span" in row:
            span_id = row["span"]["span_id"]
            stack += _level(laid, laid.children.get(span_id, []), shown, row["depth"] + 1, span_id, 0)
    return found


def _level(laid: Tree, ids: Sequence[str], shown: set[str], depth: int, parent: str, skip: int) -> list[dict[str, Any]]:
    """The rows of one level, last first, as a stack wants them; what is not shown becomes one fold at the end."""
    visible = [span_id for span_id in ids if span_id in shown]
    rows_ = [_row(laid, span_id, depth) for span_id in visible]
    if len(visible) < len(ids):
        hidden = ids[len(visible) :]
        inside = sum(1 + _size(laid, span_id) for span_id in hidden)
        rows_.append({"more": inside, "skip": skip + len(visible), "under": parent, "depth": depth})
    return rows_[::-1]


def _chosen(laid: Tree, tops: Sequence[str], most: int) -> set[str]:
    """Breadth first, so that a page shows the top of every branch; always the first children of a span."""
    shown: set[str] = set()
    queue = list(tops[: max(SIBLINGS, most // 2)])
    while queue and len(shown) < most:
        following: list[str] = []
        for span_id in queue:
            if len(shown) >= most:
                break
            shown.add(span_id)
            following += laid.children.get(span_id, [])[:SIBLINGS]
        queue = following
    return shown


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
    """The chain of spans that decided when the trace ended: from the last end backwards, in every span."""
    ends = {span_id: end_ns(span) for span_id, span in built.spans.items()}
    path: set[str] = set()
    stack = sorted(built.roots, key=ends.__getitem__)[-1:]
    while stack:
        span_id = stack.pop()
        path.add(span_id)
        limit = ends[span_id]
        for child in sorted(built.children.get(span_id, []), key=ends.__getitem__, reverse=True):
            if ends[child] <= limit:
                stack.append(child)
                limit = begin_ns(built.spans[child])
    return path


def _reached(roots: Sequence[str], children: dict[str, list[str]]) -> set[str]:
    reached: set[str] = set()
    stack = list(roots)
    while stack:
        span_id = stack.pop()
        if span_id not in reached:
            reached.add(span_id)
            stack += children.get(span_id, [])
    return reached


def _size(laid: Tree, span_id: str) -> int:
    return len(_reached(laid.children.get(span_id, []), laid.children))


def _begin(span: Span) -> float:
    return begin_ns(span) / 1e9
