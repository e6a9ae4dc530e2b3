"""Client metrics of every call: duration, tokens, time to the first chunk; silent while the app has no meter provider."""

from __future__ import annotations

import os
from typing import Any

from opentelemetry import metrics

from . import semconv
from .config import InstrumentConfig
from .exporters import metric_exporter
from .well_formed import well_formed_value

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
_FIRST_CHUNK = "Time from the request to the first chunk of a streamed response."
_TOKEN_TYPES = ((semconv.INPUT_TOKENS, "input"), (semconv.OUTPUT_TOKENS, "output"))


OPT_IN_VARIABLE = "OTEL_SEMCONV_STABILITY_OPT_IN"
# Operations whose metrics the newest conventions name for inference; the others keep the older names.
_INFERENCE = frozenset({semconv.OPERATION_CHAT, semconv.OPERATION_GENERATE, semconv.OPERATION_COMPLETION})
_COUNTERS = {
    semconv.INPUT_TOKENS: "gen_ai.client.inference.usage.input_tokens",
    semconv.OUTPUT_TOKENS: "gen_ai.client.inference.usage.output_tokens",
    semconv.CACHED_TOKENS: "gen_ai.client.inference.usage.cache_read.input_tokens",
    semconv.CACHE_WRITE_TOKENS: "gen_ai.client.inference.usage.cache_write.input_tokens",
    semconv.REASONING_TOKENS: "gen_ai.client.inference.usage.reasoning.output_tokens",
}


class ClientMetrics:
    """The `gen_ai.client.*` metrics of one `init`, under the names that OTEL_SEMCONV_STABILITY_OPT_IN asks for."""

    def __init__(self) -> None:
        asked = {item.strip() for item in os.environ.get(OPT_IN_VARIABLE, "").split(",")}
        both = bool(asked & {"gen_ai/dup", "gen_ai_latest_experimental/dup"})
        newest = both or "gen_ai_latest_experimental" in asked
        self._meter = metrics.get_meter("evalspan")
        self._known = KnownNames(self._meter)
        self._newest = NewestNames(self._meter) if newest else None
        self._keep_known = both or not newest

    def wanted(self) -> bool:
        """Whether the app has a meter provider by now."""
        # Asked after every call, so not of the API: its stand-in has no meter behind it until there is a provider.
        return getattr(self._meter, "_real_meter", self._meter) is not None

    def record(self, attributes: dict[str, Any], seconds: float) -> None:
        """Records one call."""
        newest = self._newest if attributes.get(semconv.OPERATION) in _INFERENCE else None
        dimensions = {name: well_formed_value(attributes[name]) for name in _DIMENSIONS if name in attributes}
        if newest is not None:
            newest.record(attributes, dimensions, seconds)
        if self._keep_known or newest is None:
            self._known.record(attributes, dimensions, seconds)


class KnownNames:
    """The names that dashboards know and that the official packages emit."""

    def __init__(self, meter: metrics.Meter) -> None:
        self._duration = _seconds(meter, "gen_ai.client.operation.duration", "Duration of a call.")
        self._tokens = _tokens(meter, "gen_ai.client.token.usage", "Tokens of a call.")
        self._first_chunk = _seconds(meter, "gen_ai.client.operation.time_to_first_chunk", _FIRST_CHUNK)

    def record(self, attributes: dict[str, Any], dimensions: dict[str, Any], seconds: float) -> None:
        """Records one call of any operation."""
        self._duration.record(seconds, dimensions)
        for name, kind in _TOKEN_TYPES:
            if (count := attributes.get(name)) is not None:
                self._tokens.record(count, {**dimensions, "gen_ai.token.type": kind})
        if (first := attributes.get(semconv.TIME_TO_FIRST_CHUNK)) is not None:
            self._first_chunk.record(first, dimensions)


class NewestNames:
    """The names of the newest text: inference has its own, and tokens are counters, one a kind."""

    def __init__(self, meter: metrics.Meter) -> None:
        self._duration = _seconds(meter, "gen_ai.client.inference.duration", "Duration of an inference call.")
        self._first_chunk = _seconds(meter, "gen_ai.client.inference.time_to_first_chunk", _FIRST_CHUNK)
        self._counters = {
            attribute: meter.create_counter(name, "{token}", "Tokens of inference calls.")
            for attribute, name in _COUNTERS.items()
        }
        self._sizes = {
            attribute: _tokens(
                meter, f"gen_ai.client.inference.operation.{kind}_tokens", "Tokens of an inference call."
            )
            for attribute, kind in _TOKEN_TYPES
        }

    def record(self, attributes: dict[str, Any], dimensions: dict[str, Any], seconds: float) -> None:
        """Records one inference call; a count that the API did not report is not recorded as 0."""
        self._duration.record(seconds, dimensions)
        spent = {name: value for name, value in dimensions.items() if name != semconv.ERROR_TYPE}
        for attribute, counter in self._counters.items():
            if (count := attributes.get(attribute)) is not None:
                # The APIs do not split every count by text, image and audio.
                counter.add(count, {**spent, "gen_ai.token.modality": "unknown"})
        for attribute, histogram in self._sizes.items():
            if (count := attributes.get(attribute)) is not None:
                histogram.record(count, dimensions)
        if (first := attributes.get(semconv.TIME_TO_FIRST_CHUNK)) is not None:
            self._first_chunk.record(first, spent)


def _seconds(meter: metrics.Meter, name: str, description: str) -> metrics.Histogram:
    return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=SECONDS)


def _tokens(meter: metrics.Meter, name: str, description: str) -> metrics.Histogram:
    return meter.create_histogram(name, "{token}", description, explicit_bucket_boundaries_advisory=TOKENS)


def make_meter_provider(config: InstrumentConfig, resource: Any) -> Any:
    """A meter provider that exports OTLP, where OTEL_METRICS_EXPORTER asks for one and the app has none; else None."""
    wanted = "otlp" in os.environ.get("OTEL_METRICS_EXPORTER", "").split(",")
    if not wanted or type(metrics.get_meter_provider()).__name__ != "_ProxyMeterProvider":
        return None
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    reader = PeriodicExportingMetricReader(metric_exporter(config))
    provider = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    return provider
