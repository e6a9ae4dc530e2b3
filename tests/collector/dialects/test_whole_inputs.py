"""Input tokens include cached ones, and calls cost the same, in whatever sense and words a sender counts: any counts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.dialects import normalise
from evalspan.collector.insert.prices import Pricing
from evalspan.collector.log import framing

MODEL = "claude-sonnet-4-5"
START = 1_790_000_000_000_000_000
FRESH_USD, READ_USD, WRITTEN_USD, OUTPUT_USD = 3e-6, 3e-7, 3.75e-6, 1.5e-5
Attributes = dict[str, Any]


class Counts(NamedTuple):
    """Tokens of a call, each in one place only."""

    fresh: int
    read: int
    written: int
    output: int

    @property
    def whole(self) -> int:
        return self.fresh + self.read + self.written

    @property
    def dollars(self) -> float:
        prices = (FRESH_USD, READ_USD, WRITTEN_USD, OUTPUT_USD)
        return sum(count * price for count, price in zip(self, prices, strict=True))


def anthropic_usage(c: Counts) -> Attributes:
    return {
        "input_tokens": c.fresh,
        "cache_read_input_tokens": c.read,
        "cache_creation_input_tokens": c.written,
        "output_tokens": c.output,
    }


def conventions(counted: Callable[[Counts], int], **more: Any) -> Callable[[Counts], Attributes]:
    def write(c: Counts) -> Attributes:
        return {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": MODEL,
            "gen_ai.usage.input_tokens": counted(c), "gen_ai.usage.output_tokens": c.output,
            "gen_ai.usage.cache_read.input_tokens": c.read, "gen_ai.usage.cache_creation.input_tokens": c.written,
            **{key.replace("__", "."): value(c) for key, value in more.items()},
        }  # fmt: skip

    return write


def ai_sdk(operation: str, **more: Any) -> Attributes:
    return {"ai.operationId": operation, "ai.model.id": MODEL, "ai.model.provider": "anthropic.messages", **more}


def openinference(prompt: int, total: int, c: Counts) -> Attributes:
    return {
        "openinference.span.kind": "LLM", "llm.provider": "anthropic", "llm.model_name": MODEL, "llm.token_count.prompt": prompt,
        "llm.token_count.completion": c.output, "llm.token_count.total": total,
        "llm.token_count.prompt_details.cache_read": c.read, "llm.token_count.prompt_details.cache_write": c.written,
    }  # fmt: skip


# name -> (scope, what such a sender writes)
SENDERS: dict[str, tuple[str, Callable[[Counts], Attributes]]] = {
    "the conventions": ("x", conventions(lambda c: c.whole)),
    "the conventions, the old name of cached tokens": (
        "opentelemetry.instrumentation.anthropic",
        lambda c: {
            "gen_ai.system": "Anthropic", "llm.request.type": "chat", "gen_ai.request.model": MODEL,
            "gen_ai.usage.prompt_tokens": c.whole, "gen_ai.usage.completion_tokens": c.output,
            "gen_ai.usage.cache_read_input_tokens": c.read, "gen_ai.usage.cache_creation_input_tokens": c.written,
        },
    ),
    "Strands": ("strands.telemetry.tracer", conventions(lambda c: c.fresh, gen_ai__usage__total_tokens=lambda c: c.whole + c.output)),
    "OpenLIT": ("openlit.instrumentation.anthropic", conventions(lambda c: c.fresh, gen_ai__client__token__usage=lambda c: c.fresh + c.output)),
    "Logfire": ("logfire.anthropic", lambda c: {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": MODEL, "gen_ai.usage.input_tokens": c.fresh, "gen_ai.usage.output_tokens": c.output, "gen_ai.usage.raw": anthropic_usage(c), "logfire.msg": "call"}),
    "OpenInference, whole": ("openinference.instrumentation.anthropic", lambda c: openinference(c.whole, c.whole + c.output, c)),
    "OpenInference, without the cache": ("openinference.instrumentation.bedrock", lambda c: openinference(c.fresh, c.whole + c.output, c)),
    "Langfuse": ("langfuse-sdk", lambda c: {"langfuse.observation.type": "generation", "langfuse.observation.model.name": MODEL, "langfuse.observation.usage_details": {"input": c.fresh, "cache_read_input_tokens": c.read, "cache_creation_input_tokens": c.written, "output": c.output}}),
    "MLflow": ("mlflow", lambda c: {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.model": f'"{MODEL}"', "mlflow.llm.provider": '"anthropic"', "mlflow.spanOutputs": {"type": "message", "role": "assistant", "content": [], "usage": anthropic_usage(c)}}),
    "AI SDK 4": ("ai", lambda c: ai_sdk("ai.generateText.doGenerate", **{"gen_ai.usage.input_tokens": c.fresh, "gen_ai.usage.output_tokens": c.output, "ai.response.providerMetadata": {"anthropic": {"cacheReadInputTokens": c.read, "cacheCreationInputTokens": c.written}}})),
    "AI SDK 5": ("ai", lambda c: ai_sdk("ai.streamText.doStream", **{"ai.usage.inputTokens": c.fresh, "ai.usage.outputTokens": c.output, "ai.usage.cachedInputTokens": c.read, "ai.response.providerMetadata": {"anthropic": {"usage": anthropic_usage(c), "cacheCreationInputTokens": c.written}}})),
    "AI SDK 6": ("ai", lambda c: ai_sdk("ai.generateText.doGenerate", **{"ai.usage.inputTokens": c.whole, "ai.usage.outputTokens": c.output, "ai.usage.inputTokenDetails.noCacheTokens": c.fresh, "ai.usage.inputTokenDetails.cacheReadTokens": c.read, "ai.usage.inputTokenDetails.cacheWriteTokens": c.written})),
}  # fmt: skip
_draw = random.Random(11)
COUNTS = [
    Counts(_draw.randint(1, 5000), read, written, _draw.randint(1, 900))
    for read in (0, 1, 40, 4000)
    for written in (0, 7, 3000)
]


@pytest.fixture(scope="module")
def stored(store) -> dict[str, list[tuple[Any, ...]]]:
    request = ExportTraceServiceRequest()
    for number, (name, (scope_name, write)) in enumerate(SENDERS.items(), 1):
        scope = request.resource_spans.add().scope_spans.add()
        scope.scope.name = scope_name
        for place, counts in enumerate(COUNTS):
            span = scope.spans.add(
                trace_id=(1000 * number + place + 1).to_bytes(16, "big"),
                span_id=(1000 * number + place + 1).to_bytes(8, "big"),
                name=name,
                start_time_unix_nano=START,
                end_time_unix_nano=START + 10**9,
            )
            for key, value in write(counts).items():
                target = span.attributes.add(key=key).value
                if isinstance(value, int):
                    target.int_value = value
                else:
                    target.string_value = value if isinstance(value, str) else json.dumps(value)
    normalise(request)
    Pricing(store).insert(b"".join(framing.frame(request.SerializeToString(), "whole-inputs", 1)), "whole-inputs")
    sql = """SELECT name, role, input_tokens, cached_tokens, output_tokens, cost_usd FROM spans
        WHERE project = 'whole-inputs' ORDER BY trace_id"""
    found: dict[str, list[tuple[Any, ...]]] = {name: [] for name in SENDERS}
    for name, *row in store.query(sql).rows:
        found[name].append(tuple(row))
    return found


@pytest.mark.parametrize("sender", SENDERS)
def test_every_sender_ends_in_the_same_tokens_and_dollars(
    stored: dict[str, list[tuple[Any, ...]]], sender: str
) -> None:
    for counts, row in zip(COUNTS, stored[sender], strict=True):
        wanted = ("call", counts.whole, counts.read, counts.output, pytest.approx(counts.dollars, rel=1e-9))
        assert row == wanted, counts
