"""Sixteen days of four services with five stories in them, small enough for a test: real OTLP for spans, rows for scores.

A. A prompt is edited nine days ago: faithfulness falls, most in one segment.
B. In the last two hours a tool times out, for one version of the app in one region only.
C. Three days ago a model answered 429 for three hours.
D. Five days ago one tenant began to cost many times as much.
E. Eleven days ago an evaluator got a new version that scores lower.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from evalspan.evaluators.evaluation_rows import evaluation_id

from .seed import attributes

DAYS = 16
SYSTEM = {
    "v4": "Answer from the documents only. Never promise refunds: the policy page decides.",
    "v5": "Greet the customer warmly and be generous. Use the documents.",
}
REGIONS, TENANTS, SEGMENTS = (
    ("eu", "us", "asia"),
    ("acme", "globex", "initech", "hooli"),
    ("refunds", "shipping", "sizes"),
)
TIMEOUT, LIMIT = ("ToolTimeout", "find_order did not answer within 30 s"), ("RateLimitError", "429: rate limit reached")


class Stories:
    """The made traffic, which ends now."""

    def __init__(self, seed: int = 5) -> None:
        self.draw, self.now = random.Random(seed), datetime.now(UTC)
        self.bodies: list[ResourceSpans] = []
        self.scores: list[dict[str, Any]] = []
        for hour in range(DAYS * 24):
            at = self.now - timedelta(hours=DAYS * 24 - hour) + timedelta(minutes=4)
            left = DAYS * 24 - hour
            for _ in range(9 if left <= 2 else 2):
                self._support(at + timedelta(minutes=self.draw.uniform(0, 50)), left)
            for _ in range(8 if 72 <= left < 75 else 1):
                self._search(at + timedelta(minutes=self.draw.uniform(0, 50)), limited=72 <= left < 75)
            if hour % 2 == 0:
                self._code(at + timedelta(minutes=self.draw.uniform(0, 50)), dear=left < 5 * 24)

    def requests(self) -> Iterator[bytes]:
        """OTLP bodies of a few hundred traces each."""
        for start in range(0, len(self.bodies), 400):
            yield ExportTraceServiceRequest(resource_spans=self.bodies[start : start + 400]).SerializeToString()

    def _about(self) -> dict[str, Any]:
        draw = self.draw
        return {"tenant.id": draw.choice(TENANTS), "region": draw.choice(REGIONS), "app.version": draw.choice(("2.13", "2.14"))}  # fmt: skip

    def _support(self, at: datetime, left: int) -> None:
        draw, about, segment = self.draw, self._about(), self.draw.choice(SEGMENTS)
        version = "v5" if left < 9 * 24 else "v4"
        broken = left <= 2 and about["region"] == "eu" and about["app.version"] == "2.14"
        bad = draw.random() < ((0.6 if segment == "refunds" else 0.3) if version == "v5" else 0.05)
        answer = "You get all your money back." if bad else "Unworn goods can be returned within 30 days."
        question = [{"role": "user", "parts": [{"type": "text", "content": f"Question {draw.randrange(90)} about {segment}?"}]}]  # fmt: skip
        said = [{"role": "assistant", "parts": [{"type": "text", "content": answer}], "finish_reason": "stop"}]
        trace = _Trace(draw, at, "support-bot", {**about, "gen_ai.conversation.id": f"c-{draw.randrange(400)}"})
        root = trace.add("POST /answer", "", 0, 1.6, {"gen_ai.input.messages": json.dumps(question), "gen_ai.output.messages": "" if broken else json.dumps(said)}, TIMEOUT if broken else None)  # fmt: skip
        trace.add("chat planner-model", root, 0.1, 0.3, {**_call("planner-model", 0.0001, ("plan", "v2")), "gen_ai.input.messages": json.dumps(question), "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Decide which tool to call."}])})  # fmt: skip
        trace.add("execute_tool find_order", root, 0.5, 0.2, {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find_order"}, TIMEOUT if broken else None)  # fmt: skip
        if not broken:
            told = json.dumps([{"type": "text", "content": SYSTEM[version]}])
            span = trace.add("chat answer-model", root, 0.8, 0.7, {**_call("answer-model", 0.001, ("answer", version)), "gen_ai.input.messages": json.dumps(question), "gen_ai.output.messages": json.dumps(said), "gen_ai.system_instructions": told})  # fmt: skip
            self._judge(trace, span, at, bad=bad, version=version, segment=segment, left=left)
        self.bodies.append(trace.body())

    def _judge(
        self, trace: _Trace, span: str, at: datetime, *, bad: bool, version: str, segment: str, left: int
    ) -> None:
        draw = self.draw
        of = {
            "trace_id": trace.id.hex(), "span_id": span, "span_time": at, "service": "support-bot", "environment": "production",
            "request_model": "answer-model", "prompt_name": "answer", "prompt_version": version, "segment": segment, "source": "llm_judge",
        }  # fmt: skip
        faithful = min(1.0, max(0.0, draw.gauss(0.3 if bad else 0.9, 0.08)))
        newer = left < 11 * 24
        relevant = draw.gauss(0.7 if newer else 0.88, 0.05)
        for name, ver, score in (("faithfulness", "3", faithful), ("relevance", "2" if newer else "1", relevant)):
            key = evaluation_id(project="default", name=name, evaluator_version=ver, source="llm_judge", trace_id=trace.id.hex(), span_id=span)  # fmt: skip
            passed = "pass" if score >= 0.55 else "fail"
            why = (
                "'all your money back' is not in the documents"
                if name == "faithfulness" and passed == "fail"
                else "fine"
            )
            self.scores.append({**of, "evaluation_id": key, "name": name, "evaluator_version": ver, "score": round(score, 3), "passed": passed, "explanation": why})  # fmt: skip

    def _search(self, at: datetime, *, limited: bool) -> None:
        trace = _Trace(self.draw, at, "search", self._about())
        failed = LIMIT if limited and self.draw.random() < 0.7 else None
        root = trace.add("GET /search", "", 0, 0.4, {}, failed)
        asked = json.dumps(
            [{"role": "user", "parts": [{"type": "text", "content": f"tent {self.draw.randrange(50)}"}]}]
        )
        trace.add("chat search-model", root, 0.05, 0.3, {**_call("search-model", 0.0002, None), "gen_ai.input.messages": asked}, failed)  # fmt: skip
        self.bodies.append(trace.body())

    def _code(self, at: datetime, *, dear: bool) -> None:
        about = self._about()
        tenant = about["tenant.id"]
        trace = _Trace(self.draw, at, "code-assistant", about)
        root = trace.add("invoke_agent coder", "", 0, 9, {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "coder"})  # fmt: skip
        for step in range(3):
            cost = self.draw.uniform(0.08, 0.12) * (25 if dear and tenant == "globex" else 1)
            asked = json.dumps([{"role": "user", "parts": [{"type": "text", "content": f"Refactor module {step}"}]}])
            trace.add("chat code-model", root, 0.1 + step * 2, 1.9, {**_call("code-model", cost, None), "gen_ai.input.messages": asked})  # fmt: skip
        self.bodies.append(trace.body())


def _call(model: str, cost: float, prompt: tuple[str, str] | None) -> dict[str, Any]:
    named = {"gen_ai.prompt.name": prompt[0], "gen_ai.prompt.version": prompt[1]} if prompt else {}
    return {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": model, "gen_ai.usage.input_tokens": 400,
        "gen_ai.usage.output_tokens": 60, "evalspan.cost_usd": cost, **named,
    }  # fmt: skip


class _Trace:
    """One trace while it is made."""

    def __init__(self, draw: random.Random, at: datetime, service: str, about: dict[str, Any]) -> None:
        self.draw, self.at, self.service, self.about = draw, at, service, about
        self.id, self.spans = draw.getrandbits(128).to_bytes(16, "big"), list[Span]()

    def add(
        self, name: str, parent: str, begin: float, length: float, values: dict[str, Any], error: tuple[str, str] | None = None
    ) -> str:  # fmt: skip
        """Adds a span and gives its id."""
        span_id = self.draw.getrandbits(64).to_bytes(8, "big")
        start = int((self.at.timestamp() + begin) * 1e9)
        failure = {"error.type": error[0]} if error else {}
        self.spans.append(
            Span(
                trace_id=self.id, span_id=span_id, parent_span_id=bytes.fromhex(parent), name=name,
                kind=Span.SPAN_KIND_CLIENT if parent else Span.SPAN_KIND_SERVER, start_time_unix_nano=start, end_time_unix_nano=start + int(length * 1e9),
                attributes=attributes({**self.about, **values, **failure}),
                status=Status(code=Status.STATUS_CODE_ERROR, message=error[1]) if error else Status(),
            )
        )  # fmt: skip
        return span_id.hex()

    def body(self) -> ResourceSpans:
        """The trace as OTLP carries it."""
        resource = Resource(attributes=attributes({"service.name": self.service, "deployment.environment.name": "production"}))  # fmt: skip
        return ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=self.spans)])
