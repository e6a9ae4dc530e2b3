"""OTLP requests made before the clock starts: chat spans of about 3 KB, whose ids are patched in for every send."""

from __future__ import annotations

import json
import os
import random
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_SYLLABLES = "an ber ci du el for gu ha in jo kal li mo nur ol pra qui ro sta tu un ver wi xe yo za".split()
_TRACE, _SPAN = b"\x0a\x10", b"\x12\x08"  # the tags and lengths that stand before the ids


def _text(rng: random.Random, words: list[str], size: int) -> str:
    """Words as often as they are in real text: the second half as often as the first, the third a third (Zipf)."""
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    return " ".join(rng.choices(words, weights, k=size // 4))[:size]


class Template:
    """A serialised request of `count` spans; `body` returns it with fresh ids."""

    def __init__(self, count: int, seed: int, span_bytes: int = 3150, per_trace: int = 1) -> None:
        rng = random.Random(seed)
        words = ["".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(3000)]
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        group.resource.attributes.add(key="service.name").value.string_value = f"service-{seed % 5}"
        spans = group.scope_spans.add().spans
        now = time.time_ns()
        for number in range(count):
            # Marks that occur nowhere else: where they stand in the bytes, ids are written later.
            trace_id = b"\xfe\xff" + number.to_bytes(14, "big")
            span = spans.add(
                trace_id=trace_id, span_id=b"\xfe\xff" + number.to_bytes(6, "big"), name="chat gpt-4o-mini"
            )
            span.start_time_unix_nano = now - rng.randrange(3_600_000_000_000)
            span.end_time_unix_nano = span.start_time_unix_nano + rng.randrange(200_000_000, 9_000_000_000)
            if number % per_trace:
                span.parent_span_id = b"a parent"
            self._describe(span, rng, words, span_bytes)
        encoded = request.SerializeToString()
        self.count, self._per_trace = count, per_trace
        self._template = encoded
        self._trace_at = [encoded.index(_TRACE + b"\xfe\xff" + n.to_bytes(14, "big")) + 2 for n in range(count)]
        self._span_at = [encoded.index(_SPAN + b"\xfe\xff" + n.to_bytes(6, "big")) + 2 for n in range(count)]
        self.span_bytes = len(encoded) / count

    @staticmethod
    def _describe(span, rng: random.Random, words: list[str], span_bytes: int) -> None:
        question, answer = _text(rng, words, span_bytes // 3), _text(rng, words, span_bytes // 3)
        system = "You are the assistant of a shop. Answer briefly, from the passages only."
        texts = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": rng.choice(["gpt-4o-mini", "gpt-4o", "claude-sonnet-4"]),
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.response.id": rng.randbytes(12).hex(),
            "gen_ai.conversation.id": rng.randbytes(8).hex(),
            "user.id": f"user-{rng.randrange(500)}",
            "server.address": "api.openai.com",
            "gen_ai.input.messages": json.dumps(
                [
                    {"role": "system", "parts": [{"type": "text", "content": system}]},
                    {"role": "user", "parts": [{"type": "text", "content": question}]},
                ]
            ),
            "gen_ai.output.messages": json.dumps(
                [{"role": "assistant", "parts": [{"type": "text", "content": answer}], "finish_reason": "stop"}]
            ),
        }
        for key, value in texts.items():
            span.attributes.add(key=key).value.string_value = value
        for key in ("input_tokens", "output_tokens"):
            span.attributes.add(key=f"gen_ai.usage.{key}").value.int_value = rng.randrange(20, 900)
        span.attributes.add(key="gen_ai.request.temperature").value.double_value = 0.2

    def body(self) -> bytes:
        """The request with ids that nobody has had."""
        trace_id = b""
        fresh, patched = os.urandom(24 * self.count), bytearray(self._template)
        for number in range(self.count):
            at, ids = self._trace_at[number], fresh[24 * number : 24 * number + 24]
            if not number % self._per_trace:
                trace_id = ids[:16]
            patched[at : at + 16] = trace_id
            at = self._span_at[number]
            patched[at : at + 8] = ids[16:]
        self.last_trace_id = fresh[:16].hex()
        return bytes(patched)


def templates(count: int, span_bytes: int = 3150, per_trace: int = 1) -> list[Template]:
    """As many as keep the texts from repeating in one insert."""
    return [Template(count, seed, span_bytes, per_trace) for seed in range(max(2, 2048 // count))]
