"""How spans and events leave the process: OTLP over HTTP, or over gRPC where the standard variable asks for it."""

from __future__ import annotations

import logging
import os
from importlib import import_module
from typing import Any

from ..errors import ConfigError
from .config import InstrumentConfig, base_url, named_protocol

log = logging.getLogger(__name__)

_HTTP, _GRPC = "opentelemetry.exporter.otlp.proto.http", "opentelemetry.exporter.otlp.proto.grpc"
_said: set[str] = set()


def span_exporter(config: InstrumentConfig) -> Any:
    """Sends spans to the endpoint that was given, else to what OTEL_EXPORTER_OTLP_* or its default says."""
    return _exporter(config, "TRACES", "trace_exporter", "OTLPSpanExporter", "/v1/traces")


def log_exporter(config: InstrumentConfig) -> Any:
    """The same for log events."""
    return _exporter(config, "LOGS", "_log_exporter", "OTLPLogExporter", "/v1/logs")


def metric_exporter(config: InstrumentConfig) -> Any:
    """The same for metrics."""
    return _exporter(config, "METRICS", "metric_exporter", "OTLPMetricExporter", "/v1/metrics")


def protocol(signal: str) -> str:
    """`grpc` or `http/protobuf`: what the variables ask for, as far as it is installed; said once where it is not."""
    wanted = named_protocol(signal)
    if wanted != "grpc":
        if wanted != "http/protobuf":
            _say(f"OTEL_EXPORTER_OTLP_PROTOCOL={wanted} is not known here: spans go as http/protobuf")
        return "http/protobuf"
    try:
        import_module(f"{_GRPC}.trace_exporter")
    except ImportError:
        _say(
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc needs `pip install 'evalspan[grpc]'`: without it spans go as http/protobuf, "
            "to port 4318 of a collector"
        )
        return "http/protobuf"
    return "grpc"


def _exporter(config: InstrumentConfig, signal: str, module: str, kind: str, path: str) -> Any:
    if protocol(signal) == "grpc":
        headers = {name.lower(): value for name, value in config.headers.items()} if config.headers else None
        return getattr(import_module(f"{_GRPC}.{module}"), kind)(endpoint=config.endpoint, headers=headers)
    endpoint = f"{config.endpoint}{path}" if config.endpoint else None
    if endpoint is None:
        _say_what_is_no_url(signal)
    return getattr(import_module(f"{_HTTP}.{module}"), kind)(endpoint=endpoint, headers=config.headers)


def _say_what_is_no_url(signal: str) -> None:
    """A variable of the environment stops no app: it is named, with what it should be."""
    for name in (f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        if given := os.environ.get(name):
            try:
                base_url(given, name)
            except ConfigError as error:
                _say(f"{error} {error.hint}; nothing arrives until then")
            return


def _say(line: str) -> None:
    if line not in _said:
        _said.add(line)
        log.warning("%s", line)
