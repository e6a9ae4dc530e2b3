"""Log events: scores, and content where it was asked for on events. Its pipeline is made when the first one comes."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import Span, set_span_in_context

from . import semconv
from .config import InstrumentConfig
from .content import CONTENT_ATTRIBUTES

decode = msgspec.json.decode


class Events:
    """Sends log events to the collector, from a queue of their own."""

    def __init__(self, config: InstrumentConfig, resource: Resource, provider: Any = None) -> None:
        self.provider = provider if provider is not None else _make(config, resource)
        self._logger = self.provider.get_logger("evalspan")

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
                attributes=attributes,
            )
        )


def _make(config: InstrumentConfig, resource: Resource) -> LoggerProvider:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    endpoint = f"{config.endpoint}/v1/logs" if config.endpoint else None
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_log_record_processor(
        BatchLogRecordProcessor(OTLPLogExporter(endpoint=endpoint, headers=config.headers))
    )
    return provider
