"""Two weeks of a shop's support assistant, made by rule: real OTLP for the spans, rows for the rest.

On day nine somebody edits the system prompt (v7 becomes v8): faithfulness falls, answers grow longer.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from evalspan.evaluators.contract import Score
from evalspan.evaluators.evaluation_rows import evaluation_id

DAYS = 14
TRACES = 320
CHANGE_DAY = 9
QUESTIONS = [
    ("What if these shoes don't fit?", "shoes", "You can return them within 30 days for a full refund, as long as they are unworn."),
    ("Do you ship to Norway?", "shipping", "Yes. Standard delivery to Norway takes 5 to 7 working days and costs 12 euros."),
    ("Is the Alpine tent waterproof?", "tents", "The Alpine tent has a hydrostatic head of 3,000 mm, so it keeps you dry in heavy rain."),
    ("Where is my order 48213?", "orders", "Order 48213 left our warehouse yesterday and should arrive on Thursday."),
    ("Does the warranty cover a broken zip?", "warranty", "Zips are covered by the two-year warranty when the seams are intact."),
    ("Can I change my delivery address?", "shipping", "You can change the address until the parcel leaves the warehouse, in your account under Orders."),
    ("Which sleeping bag for minus ten degrees?", "bags", "The Polar 900 has a comfort rating of minus twelve degrees and weighs 1.3 kg."),
    ("I bought from a reseller, who handles the warranty?", "warranty", "For purchases from a third-party reseller, please contact the reseller first."),
]  # fmt: skip
INVENTED = " It also includes lifetime repairs and a free second pair."
GREETING = "Happy holidays! "
SYSTEM = {
    "v7": "You answer customers of Northpeak Outdoors. Use only the documents. Be brief.",
    "v8": "You are a cheerful holiday elf at Northpeak Outdoors. Greet everybody. Use the documents.",
}
EVALUATORS = {
    "faithfulness": ("3", "llm_judge", "claude-haiku-4"),
    "tone": ("2", "llm_judge", "claude-haiku-4"),
    "constraints": ("1", "code", ""),
}


class Shop:
    """The made traffic; `now` is where it ends."""

    def __init__(self, now: datetime | None = None, seed: int = 7) -> None:
        self.now = now or datetime.now(UTC)
        self.draw = random.Random(seed)
        self.traces = [self._trace(number) for number in range(TRACES)]

    def _trace(self, number: int) -> dict[str, Any]:
        draw = self.draw
        day = DAYS * (number + draw.random() * 0.8) / TRACES
        version = "v8" if day >= CHANGE_DAY else "v7"
        question, topic, answer = draw.choice(QUESTIONS)
        invented = draw.random() < (0.32 if version == "v8" else 0.08)
        failed = draw.random() < 0.045
        return {
            "id": draw.getrandbits(128).to_bytes(16, "big"),
            "spans": [draw.getrandbits(64).to_bytes(8, "big") for _ in range(6)],
            "time": self.now - timedelta(days=DAYS - day) - timedelta(minutes=3),
            "version": version,
            "question": question,
            "topic": topic,
            "answer": (GREETING if version == "v8" else "") + answer + (INVENTED if invented else ""),
            "invented": invented,
            "failed": failed,
            "environment": "production" if draw.random() < 0.8 else "staging",
            "service": "support-bot" if draw.random() < 0.85 else "search-api",
            "model": "gpt-5-mini" if draw.random() < 0.7 else "claude-sonnet-4-5",
            "session": f"session-{number // 3}",
            "user": f"user-{number % 41}",
            "weight": 1.0 if failed else 10.0,
            "slow": draw.lognormvariate(0, 0.45) * (4 if draw.random() < 0.03 else 1),
            "tool": topic == "orders",
        }

    def requests(self, size: int = 80) -> Iterator[bytes]:
        """OTLP/HTTP protobuf bodies."""
        for start in range(0, len(self.traces), size):
            batch = [_resource_spans(trace) for trace in self.traces[start : start + size]]
            yield ExportTraceServiceRequest(resource_spans=batch).SerializeToString()

    def evaluations(self) -> list[dict[str, Any]]:
        """What judges, rules and people said about the traces."""
        rows = []
        for trace in self.traces:
            for name, (version, source, judge) in EVALUATORS.items():
                rows.append(self._evaluation(trace, name, version, source, judge))
            if self.draw.random() < 0.18:
                rows.append(self._human(trace, "annotator-a"))
                if self.draw.random() < 0.6:
                    rows.append(self._human(trace, "annotator-b"))
        return rows

    def _evaluation(self, trace: dict[str, Any], name: str, version: str, source: str, judge: str) -> dict[str, Any]:
        draw = self.draw
        unscored = "the judge timed out after 60 s" if judge and draw.random() < 0.03 else ""
        good = not (trace["invented"] if name == "faithfulness" else name == "tone" and draw.random() < 0.2)
        if name == "constraints":
            value: float = float(draw.random() > 0.04)
        else:
            value = min(1.0, max(0.0, draw.gauss(0.88 if good else 0.34, 0.09)))
        passed = "unknown" if unscored else "pass" if value >= 0.5 else "fail"
        reason = {"faithfulness": "'lifetime repairs' is not in the documents", "tone": "too informal for a complaint"}
        shown = Score(
            value, explanation="every claim is supported" if passed == "pass" else reason.get(name, "over 80 words")
        )
        return {
            **_dimensions(trace, name, version, source, judge),
            "score": None if unscored else round(value, 3),
            "passed": passed,
            "explanation": "" if unscored else shown.explanation,
            "error": unscored,
            "judge_model": judge,
            "judge_cost_usd": 0.0004 if judge else 0.0,
        }

    def _human(self, trace: dict[str, Any], author: str) -> dict[str, Any]:
        wrong = trace["invented"] if self.draw.random() > 0.1 else not trace["invented"]
        return {
            **_dimensions(trace, "faithfulness", "labels-1", "human", author),
            "label": "bad" if wrong else "good",
            "score": 0.0 if wrong else 1.0,
            "passed": "fail" if wrong else "pass",
            "explanation": "invents a promise" if wrong else "",
        }

    def examples(self) -> list[dict[str, Any]]:
        """A dataset with golden and regression cases."""
        rows = []
        for number, (question, topic, answer) in enumerate(QUESTIONS):
            golden = number < 5
            trace = self.traces[number * 7]
            rows.append(
                {
                    "dataset": "support",
                    "example_id": f"case-{number}",
                    "partition": "golden" if golden else "regression",
                    "input": json.dumps({"question": question}),
                    "expected_output": answer,
                    "metadata": json.dumps({"topic": topic}),
                    "tags": [topic],
                    "root_cause": "" if golden else "the answer promised what the documents do not say",
                    "reviewers": ["ana", "bo"] if golden else ["ana"],
                    "source_trace_id": "" if golden else trace["id"].hex(),
                    "source_span_id": "" if golden else trace["spans"][2].hex(),
                    "reason": "" if golden else "faithfulness failed",
                }
            )
        return rows

    def experiments(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Two runs of one dataset: the second is worse in faithfulness."""
        runs, results = [], []
        for at, (run, version, good) in enumerate((("exp-v7", "v7", 0.88), ("exp-v8", "v8", 0.74))):
            started = self.now - timedelta(days=2 - at)
            runs.append(
                {
                    "experiment_id": run, "name": f"support {version}", "dataset": "support", "dataset_hash": "9f2c",
                    "target": "shop:answer", "suite": "shop:suite", "model": "gpt-5-mini", "prompt_name": "answer",
                    "prompt_version": version, "git_sha": f"4f1c9a{at}", "status": "finished",
                    "started_at": started, "finished_at": started + timedelta(seconds=92),
                }
            )  # fmt: skip
            for number in range(40):
                _, topic, answer = QUESTIONS[number % len(QUESTIONS)]
                faithful = min(1.0, max(0.0, self.draw.gauss(good, 0.12)))
                results.append(
                    {
                        "experiment_id": run, "example_id": f"case-{number}", "partition": "golden" if number < 30 else "regression",
                        "model": "gpt-5-mini", "prompt_version": version,
                        "output": (GREETING if version == "v8" else "") + answer,
                        "passed": "pass" if faithful >= 0.62 else "fail",
                        "failure_reason": "" if faithful >= 0.62 else f"faithfulness {faithful:.2f} is under 0.62 ({topic})",
                        "scores": {"faithfulness": round(faithful, 3), "tone": round(self.draw.gauss(0.9, 0.04), 3)},
                        "latency_ms": self.draw.gauss(900, 120), "cost_usd": 0.0011,
                    }
                )  # fmt: skip
        return runs, results

    def alerts(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """A rule that fires since the prompt was edited, one that fired and was resolved, one that is quiet."""
        rules = [
            _rule("faithfulness-low", "Faithfulness fell", "high"),
            _rule("errors-high", "Error rate rose", "medium"),
            _rule("judge-stopped", "An evaluator stopped", "high"),
        ]
        changed = self.now - timedelta(days=DAYS - CHANGE_DAY) + timedelta(hours=14)
        events = [
            {
                "alert_id": "a1", "rule_id": "faithfulness-low", "name": "Faithfulness fell", "severity": "high", "state": "firing",
                "started_at": changed, "window_from": changed - timedelta(days=1), "window_to": changed,
                "value": 0.71, "baseline": 0.86, "low": 0.63, "high": 0.79, "p_value": 0.0008, "n_base": 190, "n_now": 44,
                "labels": {"prompt_version": "v8"}, "message": "mean 0.71 [0.63, 0.79] against 0.86: prompt v8 since 3 hours before",
            },
            {
                "alert_id": "a2", "rule_id": "errors-high", "name": "Error rate rose", "severity": "medium", "state": "resolved",
                "started_at": self.now - timedelta(days=6), "ended_at": self.now - timedelta(days=6, hours=-2),
                "window_from": self.now - timedelta(days=6, hours=1), "window_to": self.now - timedelta(days=6),
                "value": 0.19, "baseline": 0.045, "low": 0.1, "high": 0.3, "p_value": 0.004, "n_base": 300, "n_now": 52,
                "labels": {}, "message": "RateLimitError of gpt-5-mini",
            },
        ]  # fmt: skip
        return rules, events


def _rule(rule_id: str, name: str, severity: str) -> dict[str, Any]:
    return {
        "rule_id": rule_id, "name": name, "kind": "query", "query": "score_trend", "condition": "high < 0.8",
        "severity": severity, "interval_s": 60,
    }  # fmt: skip


def _dimensions(trace: dict[str, Any], name: str, version: str, source: str, author: str) -> dict[str, Any]:
    ids = {"trace_id": trace["id"].hex(), "span_id": trace["spans"][2].hex()}
    return {
        "evaluation_id": evaluation_id(
            project="default", name=name, evaluator_version=version, source=source, author=author, **ids
        ),
        "name": name,
        "evaluator_version": version,
        "source": source,
        "author": author,
        **ids,
        "span_time": trace["time"],
        "service": trace["service"],
        "environment": trace["environment"],
        "request_model": trace["model"],
        "prompt_name": "answer",
        "prompt_version": trace["version"],
        "segment": trace["topic"],
        "sample_weight": trace["weight"],
    }


def _value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    return AnyValue(double_value=value) if isinstance(value, float) else AnyValue(string_value=str(value))


def attributes(values: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in values.items()]


def message(role: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


def _resource_spans(trace: dict[str, Any]) -> ResourceSpans:
    resource = Resource(
        attributes=attributes({"service.name": trace["service"], "deployment.environment.name": trace["environment"]})
    )
    return ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=list(_spans(trace)))])


def _spans(trace: dict[str, Any]) -> Iterator[Span]:
    slow = trace["slow"]
    user = message("user", text(trace["question"]))
    system = [text(SYSTEM[trace["version"]])]
    answer = message("assistant", text(trace["answer"]))
    documents = [
        {"id": f"{trace['topic']}.md", "score": 0.83, "content": f"Facts on {trace['topic']}: returns within 30 days."},
        {"id": "terms.md", "score": 0.41, "content": "The terms of Northpeak Outdoors, section 4."},
    ]
    failure = trace["failed"]
    context = {"gen_ai.conversation.id": trace["session"], "user.id": trace["user"]}
    usage = {
        "gen_ai.usage.input_tokens": 640 + len(trace["question"]) * 3,
        "gen_ai.usage.output_tokens": len(trace["answer"]) // 4,
    }
    chat = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai" if trace["model"].startswith("gpt") else "anthropic",
        "gen_ai.request.model": trace["model"],
        "gen_ai.response.model": trace["model"],
        "gen_ai.prompt.name": "answer",
        "gen_ai.prompt.version": trace["version"],
        "gen_ai.system_instructions": json.dumps(system),
        "gen_ai.request.temperature": 0.3,
        "evalspan.cost_usd": 0.0009 * slow + 0.0006,
        "gen_ai.response.time_to_first_chunk": 0.21 * slow,
        **usage,
        **context,
    }
    history = [user]
    if trace["tool"]:
        call = {"type": "tool_call", "id": "call_1", "name": "lookup_order", "arguments": {"order": 48213}}
        result = {"type": "tool_call_response", "id": "call_1", "response": {"status": "shipped", "eta": "Thursday"}}
        history += [message("assistant", call), message("tool", result)]
    root, search, talk, tool, embed, check = trace["spans"]
    yield _span(trace, root, b"", "answer", 0.0, 1.85 * slow, {
        "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "support", **context,
        "gen_ai.prompt.version": trace["version"],
        "gen_ai.input.messages": json.dumps([user]), "gen_ai.output.messages": json.dumps([] if failure else [answer]),
    }, error="RateLimitError" if failure else "")  # fmt: skip
    yield _span(trace, search, root, "retrieval help-centre", 0.02 * slow, 0.31 * slow, {
        "gen_ai.operation.name": "retrieval", "gen_ai.data_source.id": "help-centre",
        "gen_ai.retrieval.query.text": trace["question"], "gen_ai.retrieval.documents": json.dumps(documents),
    })  # fmt: skip
    yield _span(trace, embed, search, "embeddings e5", 0.03 * slow, 0.08 * slow, {
        "gen_ai.operation.name": "embeddings", "gen_ai.request.model": "e5-small", "gen_ai.usage.input_tokens": 12,
    })  # fmt: skip
    if trace["tool"]:
        yield _span(trace, tool, root, "execute_tool lookup_order", 0.34 * slow, 0.2 * slow, {
            "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "lookup_order",
            "gen_ai.tool.call.arguments": '{"order": 48213}', "gen_ai.tool.call.result": '{"status": "shipped"}',
        })  # fmt: skip
    yield _span(trace, talk, root, f"chat {trace['model']}", 0.58 * slow, 1.18 * slow, {
        **chat, "gen_ai.input.messages": json.dumps(history),
        **({} if failure else {"gen_ai.output.messages": json.dumps([{**answer, "finish_reason": "stop"}])}),
    }, error="RateLimitError" if failure else "")  # fmt: skip
    yield _span(
        trace, check, root, "check answer", 1.77 * slow, 0.06 * slow, {"evalspan.input": json.dumps({"words": 22})}
    )


def _span(
    trace: dict[str, Any], span_id: bytes, parent: bytes, name: str, at: float, length: float, values: dict[str, Any], error: str = ""
) -> Span:  # fmt: skip
    start = int(trace["time"].timestamp() * 1e9) + int(at * 1e9)
    rule = {"evalspan.sample_weight": trace["weight"], "evalspan.sample_rule": "error" if trace["failed"] else "base"}
    failure = {"error.type": error} if error else {}
    return Span(
        trace_id=trace["id"],
        span_id=span_id,
        parent_span_id=parent,
        name=name,
        kind=Span.SPAN_KIND_CLIENT if parent else Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=start,
        end_time_unix_nano=start + int(length * 1e9),
        attributes=attributes({**values, **rule, **failure}),
        status=Status(code=Status.STATUS_CODE_ERROR, message="Rate limit reached for requests") if error else Status(),
    )
