"""Synthetic OTLP traffic whose truth is known, for the sampling tests."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

START = 1_790_000_000_000_000_000


@dataclass
class Call:
    """One call of the truth."""

    error: bool
    slow: bool
    pattern: bool
    tier: str
    seconds: float
    tokens: int
    trace_id: bytes
    fields: dict[str, object] = field(default_factory=dict)


def traffic(rng: random.Random, n: int) -> list[Call]:
    """2 % errors, 5 % slow, 3 % that mention a refund, a rare tier; latency and tokens depend on all of them."""
    calls = []
    for _ in range(n):
        error, slow, pattern = rng.random() < 0.02, rng.random() < 0.05, rng.random() < 0.03
        tier = "enterprise" if rng.random() < 0.01 else "free"
        seconds = rng.lognormvariate(-0.5, 0.3) * (6 if slow else 1) * (0.3 if error else 1)
        tokens = int(rng.gauss(300, 60) + 400 * pattern + 900 * (tier == "enterprise") - 200 * error)
        calls.append(Call(error, slow, pattern, tier, seconds, max(tokens, 1), rng.randbytes(16)))
    return calls


def add_span(request: ExportTraceServiceRequest, call: Call, *, parent: bytes = b"", name: str = "chat m") -> Span:
    """Append the call's span to the first scope of a request."""
    if not request.resource_spans:
        request.resource_spans.add().scope_spans.add()
        pair = request.resource_spans[0].resource.attributes.add(key="service.name")
        pair.value.string_value = "shop"
    span = (
        request.resource_spans[0]
        .scope_spans[0]
        .spans.add(
            trace_id=call.trace_id,
            span_id=random.randbytes(8),
            parent_span_id=parent,
            name=name,
            start_time_unix_nano=START,
            end_time_unix_nano=START + int(call.seconds * 1e9),
        )
    )
    if call.error:
        span.status.code = 2  # type: ignore[assignment]
    text = "I want a ReFuNd now" if call.pattern else "how do I pair the doorbell"
    messages = [{"role": "user", "parts": [{"type": "text", "content": text}]}]
    values = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gen_ai.input.messages": msgspec.json.encode(messages).decode(),
        "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"hold the button"}]}]',
        "evalspan.tag.tier": call.tier,
        **call.fields,
    }
    for key, value in values.items():
        put = span.attributes.add(key=key).value
        if isinstance(value, bool):
            put.bool_value = value
        else:
            put.string_value = str(value)
    span.attributes.add(key="gen_ai.usage.output_tokens").value.int_value = call.tokens
    return span


def spans_of(request: ExportTraceServiceRequest | None) -> list[Span]:
    """All spans of a request, none for None."""
    if request is None:
        return []
    return [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]


def attribute(span: Span, key: str) -> object:
    """An attribute's value, None when absent."""
    for pair in span.attributes:
        if pair.key == key:
            kind = pair.value.WhichOneof("value")
            return getattr(pair.value, kind) if kind else None
    return None
