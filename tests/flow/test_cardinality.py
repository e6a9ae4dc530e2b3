"""Many names, many days, many keys: what a sender makes up costs what it stores, and neither the numbers of the service nor others."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from ..collector.serving import Collector, answers_of, serving, until
from ..collector.traffic import add_span

SETTINGS = """
[limits]
far_days = 60
[sampling]
mode = "tail"
rate = 1.0
root_delay_s = 0.2
timeout_s = 1
max_traces = 500
"""
DAY_NS = 86_400 * 10**9


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with serving(tmp_path_factory.mktemp("cardinality") / "store", settings=SETTINGS) as running:
        yield running


def names(count: int) -> ExportTraceServiceRequest:
    """Every span with a service, model, prompt, tool, conversation, user and system prompt of its own."""
    request = ExportTraceServiceRequest()
    for number in range(count):
        group = request.resource_spans.add()
        group.resource.attributes.add(key="service.name").value.string_value = f"service-{number}"
        own = {
            name: f"{name}-{number}"
            for name in (
                "gen_ai.request.model",
                "gen_ai.prompt.name",
                "gen_ai.tool.name",
                "gen_ai.conversation.id",
                "user.id",
            )
        }
        prompt = json.dumps([{"type": "text", "content": f"You are number {number}."}])
        add_span(group.scope_spans.add().spans, attributes={**own, "gen_ai.system_instructions": prompt})
    return request


def keys(count: int) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    span = add_span(request.resource_spans.add().scope_spans.add().spans)
    for number in range(count):
        span.attributes.add(key=f"key.{number}").value.string_value = "v"
    return request


def days(count: int) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in range(count):
        add_span(spans, start_ns=time.time_ns() - (500 + number) * DAY_NS)
    return request


def scores(count: int) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for number in range(count):
        record = records.add(event_name="gen_ai.evaluation.result", trace_id=os.urandom(16), span_id=os.urandom(8))
        record.time_unix_nano = time.time_ns()
        record.attributes.add(key="gen_ai.evaluation.name").value.string_value = f"metric-{number}"
        record.attributes.add(key="gen_ai.evaluation.score.label").value.string_value = f"label-{number}"
    return request


def test_names_keys_and_traces_are_stored_and_the_services_own_numbers_stay_as_many(service: Collector) -> None:
    assert service.post(names(1).SerializeToString()).status == 200
    assert service.post(scores(1).SerializeToString(), path="/v1/logs").status == 200
    until(lambda: not service.metrics()["log_backlog_bytes_spans"], 60)
    before = set(service.metrics())
    assert service.post(names(2000).SerializeToString()).status == 200
    assert service.post(keys(3000).SerializeToString()).status == 200
    assert service.post(scores(500).SerializeToString(), path="/v1/logs").status == 200
    until(lambda: not service.metrics()["log_backlog_bytes_spans"], 60)
    numbers = service.metrics()
    # Above max_traces the oldest are decided early, and that is counted; nothing else that is new has a name of a sender.
    assert numbers["tail_decided_early_total"] > 0
    new = {name.split("{")[0] for name in set(numbers) - before}
    assert not [
        name
        for name in set(numbers) - before
        if any(word in name for word in ("service-", "metric-", "label-", "key."))
    ]
    assert len(new) < 12, new


def test_days_far_away_are_stored_up_to_the_bound_and_the_sender_is_told(service: Collector) -> None:
    answer = service.post(days(100).SerializeToString())
    told = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert (answer.status, told.rejected_spans) == (200, 40)
    assert "[limits] far_days" in told.error_message
    assert service.metrics()['spans_rejected_total{project="default",reason="far day"}'] == 40


def test_all_of_it_is_there_and_the_service_goes_on(service: Collector) -> None:
    assert service.request("GET", "/healthz").status == 200
    for page in ("/traces", "/scores", "/cost"):
        assert service.request("GET", page).status == 200
    assert service.stop() == 0
    (services,), (attributes,), (partitions,), (metrics,) = answers_of(
        service.path,
        "SELECT uniqExact(service) FROM spans WHERE startsWith(service, 'service-')",
        "SELECT max(length(attributes)) FROM spans",
        "SELECT uniqExact(partition) FROM system.parts WHERE database = 'evalspan' AND table = 'spans' AND active",
        "SELECT uniqExact(name) FROM evaluations WHERE startsWith(name, 'metric-')",
    )
    assert (services, metrics) == ([2000], [500])
    assert attributes[0] >= 3000
    assert 60 < partitions[0] < 70
