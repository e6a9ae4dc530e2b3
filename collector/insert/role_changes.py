"""Spans that stop being calls because of one that came later: their rows change before that one is inserted.

What has to change stands on the later span (`evalspan.replaces`), so it is durable with it, and sampled with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ...instrument import semconv
from ...queries.host.telemetry import Telemetry
from ...queries.role_of_span import CALL, ROLES
from ...queries.roles import RoleChange, change_roles
from ...queries.store.client import Store
from ..dialects.nested_calls import set_role
from ..log import framing

_MARK = semconv.REPLACES.encode()
_WAIT_S = 300.0  # a span may be parsed later than the one after it, or wait in the tail sampler
_AGAIN_S = 2.0
_JUST_NOW_S = 60


class RoleChanges:
    """Stands around `insert`, in the inserter's thread: a segment without such spans costs one search for bytes."""

    def __init__(
        self,
        store: Store,
        insert: Callable[[bytes, str], None],
        telemetry: Telemetry,
        reprice: Callable[[int], int],
    ) -> None:
        """`reprice` prices the calls without a cost that were stored in so many last seconds."""
        self._store, self._insert, self._telemetry, self._reprice = store, insert, telemetry, reprice
        self._waiting: dict[Key, RoleChange] = {}  # those whose span has not come yet
        self._until: dict[Key, float] = {}  # how long each waits, monotonic seconds
        self._next = 0.0

    def insert(self, segment: bytes, token: str) -> None:
        """Inserts the segment after the rows that it changes. Raises what the store raises; then nothing was inserted."""
        if _MARK in segment or self._waiting:
            segment = self._changed(segment)
        self._insert(segment, token)

    def _changed(self, segment: bytes) -> bytes:
        """The segment with the changes that are about its own spans; those about stored ones are made."""
        records = [(ExportTraceServiceRequest.FromString(one.body), one) for one in framing.records(segment)]
        now = time.monotonic()
        new = {one.key: one for one in _changes(records)}  # the last one said about a span counts
        segment, here = _rewritten(records, {**self._waiting, **new})
        waiting = {key: one for key, one in self._waiting.items() if key not in here and key not in new}
        asked = [one for key, one in new.items() if key not in here]
        if now >= self._next:  # those that waited may have been stored by another collector
            self._next = now + _AGAIN_S
            asked += waiting.values()
        missing = self._change(set(asked))
        self._until.update(dict.fromkeys(new, now + _WAIT_S))
        self._waiting = {key: one for key, one in waiting.items() if one not in asked or one in missing}
        self._waiting |= {key: one for key, one in new.items() if one in missing}
        self._waiting = {key: one for key, one in self._waiting.items() if self._until[key] > now}
        self._until = {key: self._until[key] for key in self._waiting}
        return segment

    def _change(self, changes: set[RoleChange]) -> set[RoleChange]:
        missing = change_roles(self._store, sorted(changes, key=lambda one: one.key)) if changes else set()
        self._telemetry.add("role_changes_total", len(changes) - len(missing))
        if any(one.role == CALL for one in changes - missing):
            self._reprice(_JUST_NOW_S)  # what was stored as no call has no cost
        return missing


Key = tuple[str, str, str]
Records = list[tuple[ExportTraceServiceRequest, framing.Record]]


def _changes(records: Records) -> Iterator[RoleChange]:
    for request, record in records:
        for group in request.resource_spans:
            for scope in group.scope_spans:
                for span in scope.spans:
                    for pair in span.attributes:
                        if pair.key == semconv.REPLACES:
                            yield from _read(record.project, pair.value.string_value)


def _read(project: str, text: str) -> Iterator[RoleChange]:
    for one in text.split():
        place, _, role = one.partition("=")
        trace_id, _, span_id = place.partition("/")
        if role in ROLES and len(trace_id) == 32 and len(span_id) == 16:
            yield RoleChange(project, trace_id, span_id, role)


def _rewritten(records: Records, changes: Mapping[Key, RoleChange]) -> tuple[bytes, set[Key]]:
    """The segment with the changes made to the spans that are in it, and which spans those are."""
    pieces: list[bytes] = []
    here: set[Key] = set()
    for request, record in records:
        changed = False
        for group in request.resource_spans:
            for scope in group.scope_spans:
                for span in scope.spans:
                    key = (record.project, span.trace_id.hex(), span.span_id.hex())
                    if key in changes:
                        here.add(key)
                        changed |= set_role(span, changes[key].role)
        body = request.SerializeToString() if changed else record.body
        pieces += framing.frame(body, record.project, record.received_ms)
    return b"".join(pieces), here
