"""Client metrics of every call: duration, tokens, time to the first chunk; silent while the app has no meter provider."""

from __future__ import annotations

import os
from typing import Any

from opentelemetry import metrics

from . import semconv
from .config import InstrumentConfig

# Boundaries that the conventions ask for.
SECONDS = tuple(0.01 * 2**power for power in range(14))
TOKENS = tuple(4**power for power in range(14))
# What a series is told apart by; content and identifiers are not among it.
_DIMENSIONS = (
    semconv.OPERATION,
    semconv.PROVIDER,
    semconv.REQUEST_MODEL,
    semconv.RESPONSE_MODEL,
    semconv.SERVER_ADDRESS,
    semconv.SERVER_PORT,
    semconv.ERROR_TYPE,
)
_TOKEN_TYPES = ((semconv.INPUT_TOKENS, "input"), (semconv.OUTPUT_TOKENS, "output"))


class ClientMetrics:
    """The `gen_ai.client.*` histograms of one `init`, under the names that dashboards know."""

    def __init__(self) -> None:
        meter = metrics.get_meter("evalspan")
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "Duration of a call.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Tokens of a call.",
            explicit_bucket_boundaries_advisory=TOKENS,
        )
        self._first_chunk = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            "s",
            "Time from the request to the first chunk of a streamed response.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )

    def wanted(self) -> bool:
        """Whether the app has a meter provider by now."""
        return type(metrics.get_meter_provider()).__name__ != "_ProxyMeterProvider"

    def record(self, attributes: dict[str, Any], seconds: float) -> None:
        """Records one call."""
        dimensions = {name: attributes[name] for name in _DIMENSIONS if name in attributes}
        self._duration.record(seconds, dimensions)
        for name, kind in _TOKEN_TYPES:
            if (count := attributes.get(name)) is not None:
                self._tokens.record(count, {**dimensions, "gen_ai.token.type": kind})
        if (first := attributes.get(semconv.TIME_TO_FIRST_CHUNK)) is not None:
            self._first_chunk.record(first, dimensions)


def make_meter_provider(config: InstrumentConfig, resource: Any) -> Any:
    """A meter provider that exports OTLP, where OTEL_METRICS_EXPORTER asks for one and the app has none; else None."""
    wanted = "otlp" in os.environ.get("OTEL_METRICS_EXPORTER", "").split(",")
    if not wanted or type(metrics.get_meter_provider()).__name__ != "_ProxyMeterProvider":
        return None
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    endpoint = f"{config.endpoint}/v1/metrics" if config.endpoint else None
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=endpoint, headers=config.headers))
    provider = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    return provider
