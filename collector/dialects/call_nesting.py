"""Which of the calls that lie inside each other keeps the role, by the spans of one trace alone: the rule and its tree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from ...instrument import semconv
from ...queries.role_of_span import CALL, OTHER

OURS = "evalspan"
NATIVE = ("com.anthropic.sdk.python", "com.anthropic.sdk.typescript")
"""Scopes of SDKs that trace themselves: metadata only."""
_MAX_STEPS = 1_000  # upwards from a call to the call around it
_FAMILIES = {"": "", "embeddings": "embeddings", "moderate": "moderate", semconv.OPERATION_FETCH: ""}


class Node:
    """What is remembered of a span to decide who is the call."""

    __slots__ = ("failed", "family", "has_lost", "parent", "rank", "role")

    def __init__(self, parent: bytes, role: str, family: str, rank: int, *, failed: bool) -> None:
        self.parent = parent
        self.role = role  # by what the span says about itself
        self.family = family
        self.rank = rank
        self.failed = failed
        self.has_lost = False  # whether it ever was no call


Trace = dict[bytes, Node]


def node_of(
    parent: bytes, role: str, operation: str, scope: str, *, has_usage: bool, has_content: bool, failed: bool
) -> Node:
    """A node; who knows the tokens knows most, then evalspan's own spans, then whoever has more than metadata."""
    rank = 8 * has_usage + 4 * scope.startswith(OURS) + 2 * (not scope.startswith(NATIVE)) + has_content
    family = _FAMILIES.get(operation, "text")
    return Node(parent, role, family, rank, failed=failed)


def node_of_row(row: Mapping[str, Any]) -> Node:
    """The node of a stored span, a row of `queries.nesting.recent_spans` and its like."""
    is_counted_run = row["has_lost"] and row["own_operation"] == semconv.OPERATION_FETCH  # that stays so
    node = node_of(
        bytes.fromhex(row["parent_span_id"]),
        OTHER if is_counted_run else row["own_role"],
        row["own_operation"],
        row["scope_name"],
        has_usage=bool(row["has_usage"]),
        has_content=bool(row["has_content"]),
        failed=bool(row["failed"]),
    )
    node.has_lost = bool(row["has_lost"]) and not is_counted_run
    return node


def corrected(trace: Trace, arrived: Collection[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The calls that are nested with one that has arrived, or have one of these between them; and whether each loses."""
    calls = {span_id: node for span_id, node in trace.items() if node.role == CALL}
    around: dict[bytes, bytes] = {}
    nested = {span_id for span_id in arrived if span_id in calls}
    for span_id, node in calls.items():
        path = _path(trace, span_id, node)
        if path:
            around[span_id] = path[-1]
            if any(place in arrived for place in path[:-1]):  # what lies between them has only now come
                nested.add(span_id)
    if not around:
        return
    inner: dict[bytes, list[bytes]] = defaultdict(list)
    for span_id, outer in around.items():
        inner[outer].append(span_id)
    losers = _losers(calls, around, inner)
    for span_id in _related(nested, around, inner):
        yield span_id, span_id in losers


def _losers(calls: Trace, around: dict[bytes, bytes], inner: dict[bytes, list[bytes]]) -> set[bytes]:
    """The calls that are the same call as one below or above them which knows more."""
    tops = [one for one in inner if one not in around]
    downwards = _downwards(tops, inner)
    best: dict[bytes, int] = {}
    losers: set[bytes] = set()
    for span_id in reversed(downwards):
        below = max((best[one] for one in _same(calls, span_id, inner)), default=-1)
        best[span_id] = max(calls[span_id].rank, below)
        if below >= calls[span_id].rank:
            losers.add(span_id)
    covered: set[bytes] = set()
    for span_id in downwards:
        if span_id in covered or span_id not in losers:
            covered.update(_same(calls, span_id, inner))
    return losers | covered


def _same(calls: Trace, span_id: bytes, inner: dict[bytes, list[bytes]]) -> list[bytes]:
    """The calls directly inside a call that are the same call. A failed try inside one that succeeded is not: it was a
    request of its own, whatever the tokens of the whole are.
    """
    failed = calls[span_id].failed
    return [one for one in inner.get(span_id, ()) if failed or not calls[one].failed]


def _related(starts: Iterable[bytes], around: dict[bytes, bytes], inner: dict[bytes, list[bytes]]) -> list[bytes]:
    """All calls that are nested with one of these, the outermost first."""
    seen: set[bytes] = set()
    tops = []
    for start in starts:
        place = start
        while place not in seen and place in around:
            seen.add(place)
            place = around[place]
        if place not in seen:
            seen.add(place)
            tops.append(place)
    return _downwards((top for top in tops if top in inner), inner)


def _downwards(tops: Iterable[bytes], inner: dict[bytes, list[bytes]]) -> list[bytes]:
    """These calls and every call inside them, the outer ones first; nothing recurses, and no circle is endless."""
    stack = list(tops)
    order: dict[bytes, None] = {}
    while stack:
        one = stack.pop()
        if one not in order:
            order[one] = None
            stack += inner.get(one, ())
    return list(order)


def _path(trace: Trace, span_id: bytes, node: Node) -> list[bytes]:
    """The way up from a call to the nearest call around it; empty when there is none, or an agent, a tool, a retrieval
    or a workflow between them.
    """
    place, path = node.parent, list[bytes]()
    while len(path) < _MAX_STEPS and place != span_id:
        found = trace.get(place)
        if found is None or found.role not in (CALL, OTHER):
            return []
        path.append(place)
        if found.role == CALL:
            same = not found.family or not node.family or found.family == node.family
            return path if same else []
        place = found.parent
    return []
