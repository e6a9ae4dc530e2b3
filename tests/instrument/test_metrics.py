"""Client metrics under the names that OTEL_SEMCONV_STABILITY_OPT_IN asks for: the known ones, the newest, or both."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import metrics as otel_metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import evalspan

from ..scripted import Reply, ScriptedServer
from .conftest import Spans
from .scenarios import SCENARIOS, client_of, run

KNOWN = {
    "gen_ai.client.operation.duration",
    "gen_ai.client.token.usage",
    "gen_ai.client.operation.time_to_first_chunk",
}
NEWEST = {
    "gen_ai.client.inference.duration",
    "gen_ai.client.inference.time_to_first_chunk",
    "gen_ai.client.inference.usage.input_tokens",
    "gen_ai.client.inference.usage.output_tokens",
    "gen_ai.client.inference.usage.cache_read.input_tokens",
    "gen_ai.client.inference.usage.cache_write.input_tokens",
    "gen_ai.client.inference.operation.input_tokens",
    "gen_ai.client.inference.operation.output_tokens",
}


class Meters:
    """What was measured, by the name of the metric."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._reader = InMemoryMetricReader()
        provider = MeterProvider(metric_readers=[self._reader], shutdown_on_exit=False)
        monkeypatch.setattr(otel_metrics, "get_meter_provider", lambda: provider)
        monkeypatch.setattr(otel_metrics, "get_meter", provider.get_meter)

    def points(self) -> dict[str, Any]:
        data = self._reader.get_metrics_data()
        assert data is not None
        return {m.name: m.data.data_points for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics}


@pytest.fixture
def meters(monkeypatch: pytest.MonkeyPatch) -> Meters:
    return Meters(monkeypatch)


def call(name: str, server: ScriptedServer) -> None:
    scenario = next(s for s in SCENARIOS if s.name == name)
    run(scenario, client_of(scenario, server))


def test_without_the_variable_the_names_are_those_that_dashboards_know(server, bare_spans: Spans, meters) -> None:
    evalspan.init(tracer_provider=bare_spans.provider)
    call("messages stream", server)
    found = meters.points()
    assert set(found) == KNOWN
    assert found["gen_ai.client.operation.duration"][0].count == 1
    tokens = {p.attributes["gen_ai.token.type"]: p.sum for p in found["gen_ai.client.token.usage"]}
    assert tokens == {"input": 1234, "output": 567}
    assert found["gen_ai.client.operation.time_to_first_chunk"][0].count == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("gen_ai_latest_experimental", NEWEST),
        ("http, gen_ai_latest_experimental", NEWEST),
        ("gen_ai/dup", NEWEST | KNOWN),
        ("http", KNOWN),
    ],
)
def test_the_variable_chooses_the_names(
    value: str, expected: set[str], server, bare_spans, meters, monkeypatch
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", value)
    evalspan.init(tracer_provider=bare_spans.provider)
    call("messages stream", server)
    found = meters.points()
    assert set(found) == expected
    if "gen_ai.client.inference.duration" not in expected:
        return
    counted = {name.rpartition("usage.")[2]: found[name][0].value for name in NEWEST if ".usage." in name}
    assert counted == {
        "input_tokens": 1234,
        "output_tokens": 567,
        "cache_read.input_tokens": 321,
        "cache_write.input_tokens": 45,
    }
    assert found["gen_ai.client.inference.usage.input_tokens"][0].attributes["gen_ai.token.modality"] == "unknown"
    assert found["gen_ai.client.inference.operation.input_tokens"][0].sum == 1234


def test_what_is_no_inference_keeps_its_name(server: ScriptedServer, bare_spans: Spans, meters, monkeypatch) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
    evalspan.init(tracer_provider=bare_spans.provider)
    call("embeddings.create", server)
    call("responses.retrieve", server)
    found = meters.points()
    assert set(found) == {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    operations = {point.attributes["gen_ai.operation.name"] for point in found["gen_ai.client.token.usage"]}
    assert operations == {"embeddings"}, "a fetched response's tokens were counted by the call that began it"


def test_a_failed_call_is_measured_and_counts_no_tokens(server, bare_spans: Spans, meters, monkeypatch) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
    evalspan.init(tracer_provider=bare_spans.provider)
    server.then(Reply(status=401))
    with pytest.raises(Exception, match="scripted 401"):
        call("chat.create", server)
    found = meters.points()
    assert set(found) == {"gen_ai.client.inference.duration"}
    assert found["gen_ai.client.inference.duration"][0].attributes["error.type"] == "AuthenticationError"
