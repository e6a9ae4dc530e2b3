"""A model call inside a model call is one call: which of the spans keeps the role, in whatever order and request they come.

Frameworks trace the calls that an SDK's instrumentation traces beneath them, and SDKs trace themselves. Whoever knows
more stays the call; the other keeps its place in the tree and loses the role. The decision follows from the spans of a
trace alone, so that spans that come twice, late or in another order end in the same roles.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ...instrument import semconv
from ...queries.prices import NAMES, ModelKey, key_of
from ...queries.role_of_span import CALL, OTHER, role_of
from .attributes import SpanAttributes, any_value
from .call_nesting import Node, Trace, corrected, node_of, node_of_row
from .span_outline import is_plain_count, text_of, value_of

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from .span_outline import SpanOutline

_MAX_SPANS = 100_000
_MAX_RUNS = 20_000
_MAX_NAMES = 4_096
_NAMES = tuple(NAMES)
_FETCH = semconv.OPERATION_FETCH
_SAID = (
    semconv.OPERATION,
    semconv.REQUEST_MODEL,
    semconv.RESPONSE_MODEL,
    semconv.RESPONSE_STATUS,
    semconv.ROLE,
)
READ = NAMES | frozenset(
    {
        semconv.OPERATION,
        semconv.ROLE,
        semconv.REQUEST_MODEL,
        semconv.RESPONSE_MODEL,
        semconv.RESPONSE_ID,
        semconv.RESPONSE_STATUS,
        semconv.INPUT_TOKENS,
        semconv.OUTPUT_TOKENS,
        semconv.INPUT_MESSAGES,
        semconv.OUTPUT_MESSAGES,
    }
)
"""Attributes that say which span is the call."""

Key = tuple[str, bytes]


class NestedCalls:
    """Remembers the newest spans, at most `max_spans`, across requests. From any thread."""

    def __init__(self, max_spans: int = _MAX_SPANS) -> None:
        self._traces: OrderedDict[Key, Trace] = OrderedDict()
        self._runs: OrderedDict[tuple[str, str], tuple[bytes, bytes]] = OrderedDict()
        self._spans, self._max_spans = 0, max_spans
        self._named: set[ModelKey] = set()
        self._keys: dict[tuple[bytes | None, ...], ModelKey | None] = {}
        self._lock = threading.Lock()

    def take_named(self) -> set[ModelKey]:
        """What the calls since the last time are priced by."""
        with self._lock:
            named, self._named = self._named, set()
        return named

    @property
    def count(self) -> int:
        """How many spans are remembered."""
        return self._spans

    def remember(self, row: Mapping[str, Any]) -> None:
        """Adds a span that an earlier process stored, a row of `queries.nesting.recent_spans`."""
        key = (row["project"], bytes.fromhex(row["trace_id"]))
        node = node_of_row(row)
        self._put(key, bytes.fromhex(row["span_id"]), node)
        if row["response_id"] and node.role == CALL and not node.has_lost and len(self._runs) < _MAX_RUNS:
            # The newest come first: the one that stays is that which learnt the tokens first.
            self._runs[(row["project"], row["response_id"])] = (key[1], bytes.fromhex(row["span_id"]))

    def settle(self, spans: list[SpanOutline], request: ExportTraceServiceRequest, project: str) -> bool:
        """
        Writes on the request's spans who is no call, and which spans of earlier requests are none any more; whether it
        wrote anything. The rows of the latter change when the span that says so is inserted.
        """
        with self._lock:
            return self._settle(spans, request, project)

    def _settle(self, spans: list[SpanOutline], request: ExportTraceServiceRequest, project: str) -> bool:
        arrived: dict[Key, dict[bytes, SpanOutline]] = {}
        changed = False
        for span in spans:
            key = (project, span.trace_id)
            node = _node(span)
            if node.role == CALL:
                self._name(span.facts)
                if semconv.RESPONSE_ID in span.facts:
                    changed |= self._count_run_once(span, node, request, project)
            self._put(key, span.span_id, node)
            there = arrived.get(key)
            if there is None:
                arrived[key] = {span.span_id: span}
            else:
                there[span.span_id] = span
        for key, new in arrived.items():
            trace = self._traces.get(key)
            if trace is not None and len(trace) > 1:
                changed |= self._settle_trace(key, trace, new, request)
        self._forget()
        return changed

    def _put(self, key: Key, span_id: bytes, node: Node) -> None:
        """Remembers a span that can be a call around or inside another, or lie between two; no other one is needed."""
        if node.role == CALL or (node.role == OTHER and node.parent):
            trace = self._trace(key)
            self._spans += span_id not in trace
            trace[span_id] = node
        elif key in self._traces:
            self._spans -= self._traces[key].pop(span_id, None) is not None

    def _name(self, facts: dict[str, bytes]) -> None:
        encoded = tuple(map(facts.get, _NAMES))
        key = self._keys.get(encoded, "")
        if key == "":
            if len(self._keys) > _MAX_NAMES:
                self._keys.clear()
            key = self._keys[encoded] = key_of(dict(zip(_NAMES, map(text_of, encoded), strict=True)))
        if isinstance(key, ModelKey):
            self._named.add(key)

    def _trace(self, key: Key) -> Trace:
        trace = self._traces.get(key)
        if trace is None:
            trace = self._traces[key] = {}
        else:
            self._traces.move_to_end(key)
        return trace

    def _forget(self) -> None:
        while self._spans > self._max_spans and len(self._traces) > 1:
            self._spans -= len(self._traces.popitem(last=False)[1])

    def _settle_trace(
        self, key: Key, trace: Trace, arrived: dict[bytes, SpanOutline], request: ExportTraceServiceRequest
    ) -> bool:
        changed, changes = False, []
        for span_id, loses in corrected(trace, arrived.keys()):
            node = trace[span_id]
            if span_id in arrived:
                changed |= loses and set_role(arrived[span_id].of(request), OTHER)
            elif loses or node.has_lost:
                changes.append(f"{key[1].hex()}/{span_id.hex()}={OTHER if loses else CALL}")
            node.has_lost |= loses
        if changes:
            changed |= _set(next(iter(arrived.values())).of(request), semconv.REPLACES, " ".join(sorted(changes)))
        return changed

    def _count_run_once(self, span: SpanOutline, node: Node, request: ExportTraceServiceRequest, project: str) -> bool:
        """A run whose answer is fetched again, here or in another process, is the call of whoever learnt its tokens first."""
        run = (project, text_of(span.facts[semconv.RESPONSE_ID]))
        first = self._runs.setdefault(run, (span.trace_id, span.span_id))
        if len(self._runs) > _MAX_RUNS:
            self._runs.popitem(last=False)
        if first == (span.trace_id, span.span_id) or text_of(span.facts.get(semconv.OPERATION)) != _FETCH:
            return False
        node.role = OTHER
        return set_role(span.of(request), OTHER)


def _node(span: SpanOutline) -> Node:
    facts = span.facts
    has_usage = _is_count(facts.get(semconv.INPUT_TOKENS)) or _is_count(facts.get(semconv.OUTPUT_TOKENS))
    role, operation = _role(*map(facts.get, _SAID), has_usage, span.failed)
    content = semconv.INPUT_MESSAGES in facts or semconv.OUTPUT_MESSAGES in facts
    return node_of(
        span.parent, role, operation, span.scope, has_usage=has_usage, has_content=content, failed=span.failed
    )


@lru_cache(maxsize=4096)
def _role(
    operation: bytes | None,
    request_model: bytes | None,
    response_model: bytes | None,
    status: bytes | None,
    stated: bytes | None,
    has_usage: bool,
    failed: bool,
) -> tuple[str, str]:
    """Role and operation by the encoded attributes _SAID."""
    name = text_of(operation)
    model = text_of(response_model) or text_of(request_model)
    role = role_of(
        name, model=model, has_usage=has_usage, failed=failed, status=text_of(status), stated=text_of(stated)
    )
    return role, name


def _is_count(raw: bytes | None) -> bool:
    if raw is None:
        return False
    if is_plain_count(raw):  # nearly always
        return True
    number = any_value(value_of(raw))
    if isinstance(number, str):
        return number.strip().isdigit()
    return isinstance(number, int | float) and number >= 0


def set_role(span: Span, role: str) -> bool:
    """Writes the role; what is no call is not found by its operation either. Returns whether that changed the span."""
    attributes = SpanAttributes(span)
    if role == CALL:
        attributes.rename(semconv.NESTED_OPERATION, semconv.OPERATION)
    else:
        attributes.rename(semconv.OPERATION, semconv.NESTED_OPERATION)
    attributes.replace(semconv.ROLE, role)
    return attributes.commit()


def _set(span: Span, key: str, value: str) -> bool:
    attributes = SpanAttributes(span)
    attributes.replace(key, value)
    return attributes.commit()
