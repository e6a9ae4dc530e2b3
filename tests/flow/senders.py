"""Clients that send traces, scores and messages to a service which may be killed at any moment, and know what was acknowledged."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException
from typing import NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ..collector.serving import Collector
from ..collector.traffic import add_span

TRACES_OF_ONE = 10
"""Traces of one turn; each has a root and a child, which travel in requests of their own."""


class Sent(NamedTuple):
    """One request, and what it brings: spans without messages, spans that get some, scores, messages."""

    path: str
    body: bytes
    plain: frozenset[str] = frozenset()
    bare: frozenset[str] = frozenset()
    scores: frozenset[str] = frozenset()
    messages: frozenset[str] = frozenset()


class Acknowledged:
    """What was answered 200, by kind; span ids, and for scores and messages the text that each holds."""

    def __init__(self) -> None:
        self.plain: set[str] = set()
        self.bare: set[str] = set()
        self.scores: set[str] = set()
        self.messages: set[str] = set()

    def add(self, sent: Sent) -> None:
        """All that the request brought."""
        for kind in ("plain", "bare", "scores", "messages"):
            getattr(self, kind).update(getattr(sent, kind))


def turn() -> Iterator[Sent]:
    """
    The requests of some traces: children, scores and messages before their spans, roots, more scores.

    Every tenth trace has an error in its child, so a sampler that keeps errors keeps it whole.
    """
    children, roots = ExportTraceServiceRequest(), ExportTraceServiceRequest()
    early, late = ExportLogsServiceRequest(), ExportLogsServiceRequest()
    plain, bare, scores, messages = [], [], [], []
    for number in range(TRACES_OF_ONE):
        child = add_span(children.resource_spans.add().scope_spans.add().spans)
        root = add_span(roots.resource_spans.add().scope_spans.add().spans)
        root.trace_id = child.trace_id
        child.parent_span_id = root.span_id
        plain.append(child.span_id.hex())
        if number % 10 == 0:
            child.status.code = 2  # type: ignore[assignment]
        if number % 5 == 0:
            kept = [item for item in root.attributes if not item.key.endswith(".messages")]
            root.ClearField("attributes")
            root.attributes.extend(kept)
            bare.append(root.span_id.hex())
            records = early.resource_logs.add().scope_logs.add().log_records
            record = records.add(event_name="gen_ai.user.message", trace_id=root.trace_id, span_id=root.span_id)
            text = f"message-{root.span_id.hex()}"
            record.body.kvlist_value.values.add(key="content").value.string_value = text
            messages.append(root.span_id.hex())
        request = early if number % 2 else late
        records = request.resource_logs.add().scope_logs.add().log_records
        record = records.add(event_name="gen_ai.evaluation.result", trace_id=root.trace_id, span_id=root.span_id)
        ticket = os.urandom(8).hex()
        record.attributes.add(key="gen_ai.evaluation.name").value.string_value = "helpful"
        record.attributes.add(key="ticket").value.string_value = ticket
        record.attributes.add(key="gen_ai.evaluation.score.value").value.double_value = 1.0
        record.time_unix_nano = time.time_ns()
        scores.append((ticket, request is early))
    rooted = [span.span_id.hex() for group in roots.resource_spans for span in group.scope_spans[0].spans]
    yield Sent("/v1/traces", children.SerializeToString(), plain=frozenset(plain))
    early_scores = frozenset(ticket for ticket, is_early in scores if is_early)
    yield Sent("/v1/logs", early.SerializeToString(), scores=early_scores, messages=frozenset(messages))
    yield Sent("/v1/traces", roots.SerializeToString(), plain=frozenset(rooted).difference(bare), bare=frozenset(bare))
    yield Sent("/v1/logs", late.SerializeToString(), scores=frozenset(t for t, is_early in scores if not is_early))


class Sender(threading.Thread):
    """Sends turn after turn until the service is gone; repeats, like an exporter, what got no answer."""

    def __init__(self, collector: Collector, waiting: list[Sent], stop: threading.Event | None = None) -> None:
        """Without `stop` it ends with the service; with one a connection that fails is tried again until it is set."""
        super().__init__(daemon=True)
        self.collector, self.waiting, self.stop = collector, waiting, stop
        self.acknowledged = Acknowledged()
        self.refused: dict[int, int] = {}

    def run(self) -> None:
        while True:
            if not self.waiting:
                self.waiting = list(turn())
            try:
                self.send_waiting()
            except (OSError, HTTPException):
                if self.stop is None:
                    return
                time.sleep(0.1)
            if self.stop is not None and self.stop.is_set():
                return

    def send_waiting(self, until: float = 0) -> None:
        """Sends what waits, in order. Raises what the connection raises, and TimeoutError after `until` (monotonic)."""
        while self.waiting:
            if until and time.monotonic() > until:
                raise TimeoutError(f"{len(self.waiting)} requests were never acknowledged")
            if not until and self.stop is not None and self.stop.is_set():
                return
            sent = self.waiting[0]
            answer = self.collector.post(sent.body, path=sent.path)
            if answer.status == 200:
                self.acknowledged.add(sent)
                del self.waiting[0]
            else:
                self.refused[answer.status] = self.refused.get(answer.status, 0) + 1
                time.sleep(0.05)
