"""The tree of a trace's spans: who is under whom, in reading order, in linear time; terminal, pages and evaluators share it.

Spans come in any order, late, twice, without their parent or as each other's parents; none is lost and nothing recurses:
agents make chains of spans deeper than Python's stack.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from .role_of_span import ROLE_OF_OPERATION, ROLES

Span = dict[str, Any]

MAX_BRANCHES = 16
"""Levels of branches that are drawn before a row; what lies above is a number, so that a chain of 10,000 stays readable."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class TraceTree(msgspec.Struct, frozen=True):
    """A trace as a tree. Spans whose parent is not among them stand as roots and are counted in `orphans`."""

    spans: dict[str, Span]
    """By span id; of a span that came twice the last."""
    children: dict[str, list[str]]
    roots: list[str]
    orphans: int
    order: list[str]
    """Every span id once, depth first: a parent before its children, siblings as they came."""
    depth: dict[str, int]
    """0 for a root."""
    start_ns: int
    end_ns: int

    def __repr__(self) -> str:
        return f"<TraceTree of {len(self.spans)} spans, {len(self.roots)} roots, {self.duration_ns / 1e9:.3f} s>"

    @property
    def duration_ns(self) -> int:
        """From the first span's begin to the last one's end."""
        return self.end_ns - self.start_ns

    def parent(self, span_id: str) -> str:
        """The id of the span above, '' for a root."""
        return "" if self.depth[span_id] == 0 else str(self.spans[span_id]["parent_span_id"])

    def ancestors(self, span_id: str) -> Iterator[str]:
        """The ids above a span, the nearest first."""
        above = self.parent(span_id)
        while above:
            yield above
            above = self.parent(above)


class Row(msgspec.Struct, frozen=True):
    """A span in its place on a terminal: `rails` draws the branches that lead to it, `below` those beside its text."""

    span: Span
    depth: int
    rails: str
    below: str


def trace_tree(spans: Sequence[Span]) -> TraceTree:
    """The tree of the rows of one trace, in the order given; a cycle among parents is broken at its first span."""
    by_id = {str(span["span_id"]): span for span in spans}
    children: dict[str, list[str]] = {}
    roots: list[str] = []
    orphans = 0
    for span_id, span in by_id.items():
        parent = str(span["parent_span_id"])
        if parent in by_id and parent != span_id:
            children.setdefault(parent, []).append(span_id)
        else:
            roots.append(span_id)
            orphans += bool(parent) and parent != span_id
    order: list[str] = []
    depth: dict[str, int] = {}
    _walk(roots, children, order, depth)
    if len(order) < len(by_id):
        roots += _break_cycles(by_id, children, order, depth)
    starts = [begin_ns(span) for span in by_id.values()]
    ends = [end_ns(span) for span in by_id.values()]
    return TraceTree(by_id, children, roots, orphans, order, depth, min(starts, default=0), max(ends, default=0))


def terminal_rows(tree: TraceTree) -> Iterator[Row]:
    """The spans in reading order with their branches, at most MAX_BRANCHES levels of them."""
    path: list[bool] = []  # for each level on the way to the row: whether it is its parent's last child
    last_of = {below[-1] for below in tree.children.values() if below}
    for span_id in tree.order:
        depth = tree.depth[span_id]
        del path[depth:]
        path.append(span_id in last_of)
        hidden = max(0, depth - MAX_BRANCHES)
        lead = f"⋯{hidden} " if hidden else ""
        drawn = path[1 + hidden : depth]
        through = lead + "".join("   " if last else "│  " for last in drawn)
        if depth == 0:
            yield Row(tree.spans[span_id], 0, "", "")
            continue
        last = path[depth]
        yield Row(
            tree.spans[span_id], depth, through + ("└─ " if last else "├─ "), through + ("   " if last else "│  ")
        )


def role_of(span: Mapping[str, Any]) -> str:
    """What a span is: one of ROLES, as stored when it was received, else by its operation."""
    stored = str(span.get("role") or "")
    if stored in ROLES:
        return stored
    role = ROLE_OF_OPERATION.get(str(span.get("operation") or ""), "")
    return role or ("tool" if span.get("tool_name") and not span.get("request_model") else "other")


def begin_ns(span: Mapping[str, Any]) -> int:
    """When a span began, in nanoseconds since 1970; a time without a zone is UTC."""
    start: datetime = span["start_time"]
    if start.tzinfo is None:
        start = start.replace(tzinfo=UTC)
    return (start - _EPOCH) // _MICROSECOND * 1000


def end_ns(span: Mapping[str, Any]) -> int:
    """When a span ended, in nanoseconds since 1970."""
    return begin_ns(span) + int(span["duration_ns"])


def _walk(tops: Sequence[str], children: Mapping[str, list[str]], order: list[str], depth: dict[str, int]) -> None:
    stack = [(span_id, 0) for span_id in reversed(tops)]
    while stack:
        span_id, level = stack.pop()
        if span_id in depth:
            continue
        depth[span_id] = level
        order.append(span_id)
        stack += [(child, level + 1) for child in reversed(children.get(span_id, ()))]


def _break_cycles(
    by_id: Mapping[str, Span], children: dict[str, list[str]], order: list[str], depth: dict[str, int]
) -> list[str]:
    """Makes the first span of each cycle a root and takes it from its parent's children."""
    tops: list[str] = []
    for span_id in by_id:
        if span_id not in depth:
            tops.append(span_id)
            _walk([span_id], children, order, depth)
    broken = set(tops)
    for parent in {str(by_id[span_id]["parent_span_id"]) for span_id in tops}:
        children[parent] = [child for child in children[parent] if child not in broken]
    return tops
