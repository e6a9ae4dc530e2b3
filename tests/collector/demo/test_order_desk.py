"""The agent of `evalspan demo --agent`: its loop against a scripted model, and what its traces show to the checks."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry import trace
from opentelemetry.util._once import Once
from pydantic_ai import Agent

from evalspan.collector.demo import desk_targets
from evalspan.collector.demo.order_desk import NEW_PROMPT, OLD_PROMPT, ORDERS, OrderDesk, questions
from evalspan.collector.demo.targets import MODEL_URL
from evalspan.errors import EvalspanError
from evalspan.evaluators.datasets import Example
from evalspan.evaluators.experiments.run import RunSettings, run_cases
from evalspan.evaluators.experiments.target import Identity, Target


class Copies(BaseHTTPRequestHandler):
    """Copies the order number as the system prompt says: whole, or its digits."""

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        system, question = (one["content"] for one in asked["messages"][:2])
        order = re.search(r"LB-(\d{4})", question)
        assert order is not None
        results = [one["content"] for one in asked["messages"] if one["role"] == "tool"]
        assert bool(results) is not bool(asked.get("response_format"))  # a form for the call, free text for the answer
        said = {
            "tool": "refund" if "refund" in question.lower() else "find_order",
            "order": order.group() if "whole order number" in system else order[1],
        }
        body = json.dumps(
            {
                "id": "c", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": results[0] if results else json.dumps(said)}}],
                "usage": {"prompt_tokens": 50, "completion_tokens": 9, "total_tokens": 59},
            }
        ).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Copies)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_every_customer_is_answered_by_the_tools_of_the_time(model: str) -> None:
    before = OrderDesk(f"{model}/v1", "m", OLD_PROMPT, whole_numbers=False)
    fixed = OrderDesk(f"{model}/v1", "m", NEW_PROMPT, whole_numbers=True)
    for question, order, tool in questions(6):
        wanted = (
            f"The refund of {order} has been arranged." if tool == "refund" else f"Order {order} is {ORDERS[order]}."
        )
        assert before.answer(question) == fixed.answer(question) == wanted


def test_after_the_tools_change_the_old_prompt_fails_unnoticed_by_the_customer(model: str) -> None:
    desk = OrderDesk(f"{model}/v1", "m", OLD_PROMPT, whole_numbers=True)
    said = [desk.answer(question) for question, _, _ in questions(3)]
    assert said == ["Your order is on its way.", "Your refund has been arranged.", "Your order is on its way."]


@pytest.mark.slow
def test_the_gate_sees_the_wrong_arguments_of_the_old_prompt_and_passes_the_fixed_one(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODEL_URL, model)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    cases = [
        Example(
            order, "regression", {"question": question}, expected_tools=[{"name": tool, "arguments": {"order": order}}]
        )
        for question, order, tool in questions(4)
    ]
    seen = {}
    try:
        for function in (desk_targets.old_prompt, desk_targets.fixed_prompt):
            ran = run_cases(cases, Target(function, Identity(function.__name__)), desk_targets.GATE, RunSettings())
            seen[function.__name__] = {(metric.name, metric.passed) for one in ran for metric in one.metrics}
    finally:
        Agent.instrument_all(False)
        desk_targets._trace_agents.cache_clear()
    assert seen["old_prompt"] == {("arguments_valid", False), ("tool_calls", False)}
    assert seen["fixed_prompt"] == {("arguments_valid", True), ("tool_calls", True)}


def test_without_the_framework_the_demo_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pydantic_ai", "pydantic_ai.messages", "pydantic_ai.models"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EvalspanError, match="Pydantic AI, which is not installed") as told:
        OrderDesk("http://127.0.0.1:9/v1", "m", OLD_PROMPT, whole_numbers=True)
    assert "evalspan[demo]" in str(told.value.hint)
