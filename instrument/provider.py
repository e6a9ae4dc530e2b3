"""Which tracer provider spans go to: the one that is there is joined, else one is made; and how spans leave it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter, SpanExportResult

from . import semconv
from .config import InstrumentConfig
from .exporters import span_exporter
from .safe_call import safe_call
from .well_formed import well_formed_resource, well_formed_span

log = logging.getLogger(__name__)

EXIT_SECONDS = 2.0
EXIT_SECONDS_WHEN_FAILING = 0.2
BATCH_BYTES = 4_000_000
_ATTRIBUTES_PER_SPAN = 1024


class BoundedProcessor(BatchSpanProcessor):
    """A batch processor that drops the newest span of a full queue, counts it, says so once, and leaves in time."""

    def __init__(self, exporter: SplittingExporter) -> None:
        super().__init__(exporter)
        self.closed = False
        self._exporter = exporter
        self._batches = self._batch_processor
        self._room = self._batches._max_queue_size  # noqa: SLF001 - the SDK tells nobody when it drops
        self._overflow = 0

    @property
    def dropped(self) -> int:
        """Spans that were not delivered: no room in the queue, refused, or left behind at the end."""
        left = len(self._batches._queue) + self._exporter.in_flight if self.closed else 0  # noqa: SLF001
        return self._overflow + self._exporter.undelivered + left

    @property
    def failing(self) -> bool:
        """Whether the last batch did not arrive."""
        return self._exporter.failing

    def on_end(self, span: ReadableSpan) -> None:
        """Queues the span; never waits, never raises."""
        if not self.closed:
            safe_call(self._queue, span)

    def _queue(self, span: ReadableSpan) -> None:
        if len(self._batches._queue) >= self._room:  # noqa: SLF001
            self._overflow += 1
            if self._overflow == 1:
                log.warning("the collector does not keep up: spans are dropped from here on (queue of %d)", self._room)
            return
        super().on_end(span)

    def shutdown(self) -> None:
        """Sends what can be sent in two seconds; hardly waits for a collector that is known to be away."""
        self.closed = True
        seconds = EXIT_SECONDS_WHEN_FAILING if self.failing else EXIT_SECONDS
        self._batches.shutdown(timeout_millis=int(seconds * 1000))
        if self.dropped:
            log.warning("%d spans were not delivered to the collector", self.dropped)


class CountingExporter:
    """Counts what one exporter could not deliver, and opens a connection of its own in a forked process."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._process = os.getpid()
        self.exporter = make()
        self.failing = False
        """Whether the last batch did not arrive."""
        self.undelivered = 0
        """Items of batches that the collector refused, or that could not be sent in time."""
        self.in_flight = 0
        """Items of the batch that is on its way."""

    def export(self, batch: Sequence[Any]) -> Any:
        """Exports one batch; its result is the exporter's own."""
        if self._process != os.getpid():
            # Forked: the open connection belongs to the parent, and two processes on it get each other's answers.
            self.exporter, self._process = self._make(), os.getpid()
            self.undelivered = 0
        self.in_flight = len(batch)
        delivered = False
        try:
            result = self._send(batch)
            delivered = result.value == 0  # SUCCESS, of spans and of log records
            return result
        finally:
            self.failing = not delivered
            self.in_flight = 0

    def _send(self, batch: Sequence[Any]) -> Any:
        delivered = False
        try:
            result = self.exporter.export(batch)
            delivered = result.value == 0
            return result
        finally:
            if not delivered:
                self.undelivered += len(batch)

    def shutdown(self) -> None:
        """Closes the connection."""
        self.exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing waits here."""
        return bool(self.exporter.force_flush(timeout_millis))


class SplittingExporter(CountingExporter, SpanExporter):
    """Sends a batch in requests of bounded size: one long conversation must not cost the whole batch."""

    def _send(self, batch: Sequence[ReadableSpan]) -> SpanExportResult:
        """Exports in as few requests as the size allows; the worst result of them."""
        result = SpanExportResult.SUCCESS
        request: list[ReadableSpan] = []
        size = 0
        for given in batch:
            span = well_formed_span(given)
            weight = _weight(span)
            if request and size + weight > BATCH_BYTES:
                result = max(result, super()._send(request), key=lambda outcome: outcome.value)
                request, size = [], 0
            request.append(span)
            size += weight
        return max(result, super()._send(request), key=lambda outcome: outcome.value) if request else result


def find_or_make(
    config: InstrumentConfig, given: Any, *, environment: str | None = None
) -> tuple[Any, BoundedProcessor | None]:
    """The provider to use, and the processor of ours that exports from it, None when nothing of ours does.

    A provider that was passed in without an endpoint is used as it is: whoever built it built its exports.
    """
    provider = given if given is not None else trace.get_tracer_provider()
    if given is None and isinstance(provider, trace.ProxyTracerProvider):
        provider = TracerProvider(
            resource=_resource(config, environment),
            span_limits=SpanLimits(max_attributes=_ATTRIBUTES_PER_SPAN, max_span_attributes=_ATTRIBUTES_PER_SPAN),
            shutdown_on_exit=False,
        )
        processor = _export_from(provider, config)
        trace.set_tracer_provider(provider)
        return provider, processor
    if not hasattr(provider, "add_span_processor"):
        log.warning(
            "the tracer provider %s takes no span processor: spans go only where it sends them; "
            "pass init(tracer_provider=...) one of the OpenTelemetry SDK",
            type(provider).__name__,
        )
        return provider, None
    wanted = given is None or config.endpoint is not None or _endpoint_in_environment()
    if not wanted or _exports_there_already(provider, config):
        return provider, None
    return provider, _export_from(provider, config)


def _resource(config: InstrumentConfig, environment: str | None) -> Resource:
    own = {semconv.ENVIRONMENT: environment} if environment else {}
    if config.service_name is not None:
        own[semconv.SERVICE_NAME] = config.service_name
    return well_formed_resource(Resource.create(own))


def _export_from(provider: Any, config: InstrumentConfig) -> BoundedProcessor | None:
    kinds = [kind.strip() for kind in os.environ.get("OTEL_TRACES_EXPORTER", "otlp").split(",")]
    processor = None
    if "console" in kinds:
        provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
    if "none" not in kinds and ("otlp" in kinds or config.endpoint is not None):
        processor = BoundedProcessor(SplittingExporter(lambda: span_exporter(config)))
        provider.add_span_processor(processor)
    return processor


def _endpoint_in_environment() -> bool:
    return bool(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


def _exports_there_already(provider: Any, config: InstrumentConfig) -> bool:
    """Whether the provider has an OTLP exporter to the same place, as under `opentelemetry-instrument`."""
    wanted = span_exporter(config)
    address = getattr(wanted, "_endpoint", None)
    wanted.shutdown()
    processors = getattr(getattr(provider, "_active_span_processor", None), "_span_processors", ())
    exporters = [getattr(processor, "span_exporter", None) for processor in processors]
    return any(
        type(exporter).__name__ == "OTLPSpanExporter" and getattr(exporter, "_endpoint", None) == address
        for exporter in exporters
    )


def fitting_bytes(config: InstrumentConfig, provider: Any) -> int:
    """The longest content that the provider does not cut itself: its cut would leave JSON that nobody can read."""
    limits = getattr(provider, "_span_limits", None)
    lengths = [getattr(limits, name, None) for name in ("max_attribute_length", "max_span_attribute_length")]
    return min([config.max_content_bytes, *(length for length in lengths if isinstance(length, int))])


def _weight(span: ReadableSpan) -> int:
    return 500 + sum(len(value) for value in (span.attributes or {}).values() if isinstance(value, str))
