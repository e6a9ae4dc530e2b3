"""Head sampling as the inserter's stage: every request of a segment is decided alone, and what is kept is inserted."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ...queries.host.telemetry import Telemetry
from ..insert.inserter import Batch
from ..log import framing
from .sampler import Sampler


class HeadStage:
    """Rewrites each segment to the spans that were kept, with their weights; the segment's name stays the token."""

    def __init__(self, sampler: Sampler, telemetry: Telemetry) -> None:
        self._sampler, self._telemetry = sampler, telemetry

    def process(self, name: str, segment: bytes) -> Iterable[Batch]:
        """The segment without what was not kept; empty content when that is everything."""
        return (Batch(name, b"".join(self._kept(segment)), (name,)),)

    def flush_due(self) -> Iterable[Batch]:
        """Nothing waits for time."""
        return ()

    def shutdown(self) -> Iterable[Batch]:
        """Nothing waits."""
        return ()

    def _kept(self, segment: bytes) -> Iterable[bytes]:
        for record in framing.records(segment):
            sampled = self._sampler.head(ExportTraceServiceRequest.FromString(record.body))
            for rule, spans in sampled.dropped.items():
                self._telemetry.add("spans_sampled_out_total", spans, rule=rule)
            if sampled.request is not None:
                yield from framing.frame(sampled.request.SerializeToString(), record.project, record.received_ms)
