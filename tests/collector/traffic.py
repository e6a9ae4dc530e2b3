"""OTLP requests for the collector's tests: real protobuf messages, with ids that a test can count."""

from __future__ import annotations

import json
import os
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


def add_span(spans, name="chat test-model", *, start_ns=None, attributes=None, content=200) -> Span:
    """One span of a chat call, with `content` bytes of text in and out."""
    start = time.time_ns() if start_ns is None else start_ns
    span: Span = spans.add(
        trace_id=os.urandom(16),
        span_id=os.urandom(8),
        name=name,
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=start,
        end_time_unix_nano=start + 250_000_000,
    )
    message = [{"role": "user", "parts": [{"type": "text", "content": os.urandom(content // 2).hex()}]}]
    values = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "test-model",
        "gen_ai.input.messages": json.dumps(message),
        "gen_ai.output.messages": json.dumps([{**message[0], "role": "assistant"}]),
        **(attributes or {}),
    }
    for key, value in values.items():
        span.attributes.add(key=key).value.string_value = value
    for key, tokens in (("gen_ai.usage.input_tokens", 12), ("gen_ai.usage.output_tokens", 34)):
        span.attributes.add(key=key).value.int_value = tokens
    return span


def request_of(count=1, service="test-service", **options) -> ExportTraceServiceRequest:
    """An export request with `count` spans."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = service
    spans = group.scope_spans.add().spans
    for _ in range(count):
        add_span(spans, **options)
    return request


def span_ids(request: ExportTraceServiceRequest) -> list[str]:
    """The ids as they stand in the table."""
    return [s.span_id.hex() for g in request.resource_spans for scope in g.scope_spans for s in scope.spans]
