"""Compresses a fortnight into minutes, openly: each span says by how much its clock was shifted.

The demo's traffic is real, but nobody waits two weeks for it. Every request carries the tag `clock_shift_s`;
on the way out of the process its spans are moved by that many seconds, durations unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from ...instrument import semconv

SHIFT_TAG = "clock_shift_s"


class ShiftedClock(SpanExporter):
    """Moves spans in time by their tag and hands them to the real exporter."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Exports the moved spans."""
        return self._exporter.export([_moved(span) for span in spans])

    def shutdown(self) -> None:
        """Shuts the real exporter down."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flushes the real exporter within `timeout_millis` milliseconds."""
        return self._exporter.force_flush(timeout_millis)


def _moved(span: ReadableSpan) -> ReadableSpan:
    shift_s = (span.attributes or {}).get(semconv.TAG_PREFIX + SHIFT_TAG)
    if shift_s is None or span.start_time is None or span.end_time is None:
        return span
    shift_ns = round(float(str(shift_s)) * 1e9)
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        events=span.events,
        links=span.links,
        kind=span.kind,
        status=span.status,
        start_time=span.start_time + shift_ns,
        end_time=span.end_time + shift_ns,
        instrumentation_scope=span.instrumentation_scope,
    )
