"""Tail sampling as the inserter's stage: whole traces are decided, and the durable log is the buffer they wait in.

A trace is decided some seconds after its root arrived, or when it waited too long. What is kept goes through the journal
into the store; a segment is released when every trace in it is decided and inserted, so a restart loses no undecided
trace and doubles no decided one.
"""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ...queries.host.telemetry import Telemetry
from ..insert.inserter import Batch
from ..log import framing
from .journal import Committed, Entry, Journal, Key, Verdict
from .rewrite import mark
from .rules import Decision
from .sampler import Sampler, resource_attributes
from .span_view import SpanFacts

_COMMIT_S = 0.5  # one sync serves the decisions of so long
_COMMIT_SPANS = 4_000
_FORGET_S = 10.0


class _Item(NamedTuple):
    """A span that waits, with what it is to be written with."""

    facts: SpanFacts
    group: Any  # its ResourceSpans
    scope: Any  # its ScopeSpans
    received_ms: int
    size: int


class _Trace:
    __slots__ = ("first_seen", "items", "root_at", "segments", "size")

    def __init__(self, now: float) -> None:
        self.first_seen = now
        self.root_at = 0.0
        self.items: list[_Item] = []
        self.segments: set[str] = set()
        self.size = 0


class TailStage:
    """Assembles traces from segments and decides them; called from the inserter's thread only."""

    def __init__(
        self, sampler: Sampler, telemetry: Telemetry, journal: Journal, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sampler, self._telemetry, self._journal, self._clock = sampler, telemetry, journal, clock
        self._config = sampler.config
        self._traces: OrderedDict[Key, _Trace] = OrderedDict()  # in the order of their first spans
        self._rooted: deque[tuple[float, Key]] = deque()
        self._held: dict[str, set[Key]] = {}  # segment -> traces in it that are not committed
        self._verdicts: OrderedDict[Key, Verdict] = OrderedDict()
        self._bytes = 0
        self._out: list[tuple[Key, _Item]] = []
        self._entry = Entry({}, [])
        self._out_since = 0.0
        self._taken: dict[str, set[Key]] = defaultdict(set)  # what an earlier process decided of a segment
        self._recovered: list[Committed] = []
        self._forgot_at = clock()
        for committed, entry in journal.recover():
            self._recovered.append(committed)
            for name, keys in entry.taken.items():
                self._taken[name].update((project, trace_id) for project, trace_id in keys)
            for key, verdict in entry.verdicts:
                self._remember(key, verdict)

    def process(self, name: str, segment: bytes) -> Iterator[Batch]:
        """Takes the spans of a segment into their traces; yields what that and time have decided."""
        yield from self._again()
        if name not in self._held:  # else a commit failed after it was taken, and this is the next try
            yield from self._take(name, segment)
        yield from self._decided()

    def _take(self, name: str, segment: bytes) -> Iterator[Batch]:
        earlier = self._taken.pop(name, set())
        found: list[tuple[Key, _Item]] = []  # all of it first: what cannot be read leaves nothing half taken
        for record in framing.records(segment):
            request = ExportTraceServiceRequest.FromString(record.body)
            for group in request.resource_spans:
                resource = resource_attributes(group.resource)
                for scope in group.scope_spans:
                    for span in scope.spans:
                        key = (record.project, span.trace_id.hex())
                        if key not in earlier:
                            facts = SpanFacts(span, resource)
                            found.append((key, _Item(facts, group, scope, record.received_ms, span.ByteSize())))
        if not found:  # nothing in it is new
            yield Batch(name, b"", (name,))
            return
        self._held[name] = set()
        for key, item in found:
            self._add(name, key, item)

    def flush_due(self) -> Iterator[Batch]:
        """Yields what time alone has decided."""
        yield from self._again()
        yield from self._decided()
        if self._clock() - self._forgot_at > _FORGET_S:
            self._forgot_at = self._clock()
            self._journal.forget()

    def shutdown(self) -> Iterator[Batch]:
        """Yields what is decided; undecided traces stay in the log and are read again at the next start."""
        yield from self._again()
        yield from self._commit()

    def _again(self) -> Iterator[Batch]:
        """Batches of an earlier process: their token makes a second insert add nothing."""
        while self._recovered:
            committed = self._recovered.pop(0)
            yield Batch(committed.token, committed.content, ())

    def _add(self, name: str, key: Key, item: _Item) -> None:
        self._held[name].add(key)
        verdict = self._verdicts.get(key)
        if verdict is not None:
            self._late(name, key, item, verdict)
            return
        trace = self._traces.get(key)
        if trace is None:
            trace = self._traces[key] = _Trace(self._clock())
        trace.items.append(item)
        trace.segments.add(name)
        trace.size += item.size
        self._bytes += item.size
        if item.facts.is_root and not trace.root_at:
            trace.root_at = self._clock()
            self._rooted.append((trace.root_at + self._config.root_delay_s, key))

    def _late(self, name: str, key: Key, item: _Item, verdict: Verdict) -> None:
        """A span after its trace was decided: the same decision, but a late error is kept for itself, with weight 1."""
        policy = self._sampler.policy
        probability, rule = verdict.probability, verdict.rule
        if policy.error_rule is not None and item.facts.is_error:
            probability, rule = 1.0, policy.error_rule
        decision = policy.apply(
            item.facts, probability, rule, "late", content=verdict.content, conversation=verdict.conversation
        )
        self._settle(key, [item], {name}, decision)

    def _decided(self) -> Iterator[Batch]:
        now = self._clock()
        while self._rooted and self._rooted[0][0] <= now:
            self._decide(self._rooted.popleft()[1])
        while self._traces:
            key, trace = next(iter(self._traces.items()))
            full = self._bytes > self._config.max_bytes or len(self._traces) > self._config.max_traces
            if not full and now - trace.first_seen < self._config.timeout_s:
                break
            if full:
                self._telemetry.add("tail_decided_early_total", 1)
            self._decide(key)
        if self._entry.taken and (now - self._out_since >= _COMMIT_S or len(self._out) >= _COMMIT_SPANS):
            yield from self._commit()

    def _decide(self, key: Key) -> None:
        trace = self._traces.pop(key, None)
        if trace is None:
            return  # decided before its turn
        self._bytes -= trace.size
        facts = [item.facts for item in trace.items]
        # The root names the segment: service, user and prompt of a trace are its root's before any child's.
        decision = self._sampler.policy.decide(sorted(facts, key=lambda one: not one.is_root))
        self._remember(key, Verdict(decision.probability, decision.rule, decision.content, decision.conversation))
        self._settle(key, trace.items, trace.segments, decision)

    def _settle(self, key: Key, items: list[_Item], segments: set[str], decision: Decision) -> None:
        if not self._entry.taken:
            self._out_since = self._clock()
        for name in segments:
            self._entry.taken.setdefault(name, []).append(key)
        if decision.keep:
            for item in items:
                mark(item.facts, decision)
                self._out.append((key, item))
        else:
            self._telemetry.add("spans_sampled_out_total", len(items), rule=decision.rule)

    def _remember(self, key: Key, verdict: Verdict) -> None:
        self._verdicts[key] = verdict
        if len(self._verdicts) > self._config.decision_cache:
            self._verdicts.popitem(last=False)

    def _commit(self) -> Iterator[Batch]:
        """Puts what was decided on disk, hands it to the insert, and releases the segments that are done with."""
        if not self._entry.taken:
            return
        keys = {key for taken in self._entry.taken.values() for key in taken}
        self._entry.verdicts = [(key, self._verdicts[key]) for key in keys if key in self._verdicts]
        committed = self._journal.commit(b"".join(self._frames()), self._entry)
        released = []
        for name, taken in self._entry.taken.items():
            self._held[name].difference_update(key for key in taken if not self._waits(name, key))
            if not self._held[name]:
                del self._held[name]
                released.append(name)
        self._out, self._entry = [], Entry({}, [])
        yield Batch(committed.token, committed.content, tuple(sorted(released)))

    def _waits(self, name: str, key: Key) -> bool:
        trace = self._traces.get(key)
        return trace is not None and name in trace.segments

    def _frames(self) -> Iterator[bytes]:
        """The kept spans as records of the log, one for each project and time of receipt."""
        requests: dict[tuple[str, int], ExportTraceServiceRequest] = {}
        places: dict[tuple[str, int, int], Any] = {}
        for (project, _), item in self._out:
            request = requests.setdefault((project, item.received_ms), ExportTraceServiceRequest())
            place = places.get((project, item.received_ms, id(item.scope)))
            if place is None:
                group = request.resource_spans.add(schema_url=item.group.schema_url)
                group.resource.CopyFrom(item.group.resource)
                place = group.scope_spans.add(schema_url=item.scope.schema_url)
                place.scope.CopyFrom(item.scope.scope)
                places[project, item.received_ms, id(item.scope)] = place
            place.spans.add().CopyFrom(item.facts.span)
        for (project, received_ms), request in requests.items():
            yield from framing.frame(request.SerializeToString(), project, received_ms)
