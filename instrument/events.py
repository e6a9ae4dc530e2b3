"""Log events: scores, and content where it was asked for on events. Its pipeline is made when the first one comes."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import Span, set_span_in_context

from . import semconv
from .config import InstrumentConfig
from .content import CONTENT_ATTRIBUTES
from .exporters import log_exporter
from .provider import EXIT_SECONDS, CountingExporter
from .well_formed import well_formed_value

decode = msgspec.json.decode


class Events:
    """Sends log events to the collector, from a queue of their own."""

    def __init__(self, config: InstrumentConfig, resource: Resource, provider: Any = None) -> None:
        self._processor: BatchLogRecordProcessor | None = None
        self._exporter: LogExporter | None = None
        if provider is None:
            provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
            self._exporter = LogExporter(lambda: log_exporter(config))
            self._processor = BatchLogRecordProcessor(self._exporter)
            provider.add_log_record_processor(self._processor)
        self.provider = provider
        self._logger = provider.get_logger("evalspan")

    @property
    def dropped(self) -> int:
        """Events that the collector did not take."""
        return self._exporter.undelivered if self._exporter is not None else 0

    def close(self) -> None:
        """Sends what can be sent in two seconds; a provider that was given is left to its owner."""
        if self._processor is not None:
            self._processor._batch_processor.shutdown(timeout_millis=int(EXIT_SECONDS * 1000))  # noqa: SLF001 - as public, it waits for half a minute

    def content(self, span: Span, attributes: dict[str, Any]) -> None:
        """Sends what one call said as an event of its own, structured as the conventions want it on events."""
        structured = {
            name: decode(value) if name in CONTENT_ATTRIBUTES else value for name, value in attributes.items()
        }
        self.emit(semconv.CONTENT_EVENT, structured, set_span_in_context(span))

    def emit(self, name: str, attributes: dict[str, Any], context: Context) -> None:
        """Queues one event that belongs to the context's span; never waits."""
        now = time.time_ns()
        self._logger.emit(
            LogRecord(
                timestamp=now,
                observed_timestamp=now,
                context=context,
                severity_number=SeverityNumber.INFO,
                event_name=name,
                attributes=well_formed_value(attributes),
            )
        )


class LogExporter(CountingExporter, LogRecordExporter):
    """Sends log events, and counts those that were not taken."""
