"""A trace as evaluators get it: the same tool calls, steps, question and answer whatever wrote the spans."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest

from evalspan.evaluators.trajectory.conversation import MAX_TURNS, Conversation, conversation_of
from evalspan.evaluators.trajectory.render import render_conversation, render_trace
from evalspan.evaluators.trajectory.tool_calls import failure_of
from evalspan.evaluators.trajectory.trace import MAX_SPANS, trace_of

from .trajectories import NOON, call, recorded, returned, said, span, support, tool

WITH_TOOLS = ["langfuse", "mlflow", "openinference", "openllmetry", "logfire"]


@pytest.mark.parametrize("dialect", [*WITH_TOOLS, "official", "anthropic"])
def test_question_and_answer_are_read_from_every_dialect(dialect: str) -> None:
    trace = recorded(dialect)
    assert trace.question == "How do I reset the doorbell?"
    assert trace.answer == "Hold the button for ten seconds."
    assert "Hold the button" in repr(trace)
    assert [step.index for step in trace.steps] == list(range(len(trace.steps)))


@pytest.mark.parametrize("dialect", WITH_TOOLS)
def test_a_tool_call_counts_once_with_its_arguments_and_result(dialect: str) -> None:
    first = recorded(dialect).tool_calls[0]
    assert (first.name, first.result, first.error, first.executed) == ("find_order", "order A-17: shipped", None, True)
    if dialect != "langfuse":  # it does not keep the tool calls of a stream's answer
        assert first.arguments == {"order_id": "A-17"} or dialect == "openllmetry"
    if dialect != "logfire":  # it has no span for a tool
        assert first.duration_s is not None


@pytest.mark.parametrize("dialect", ["mlflow", "openinference", "logfire", "openllmetry"])
def test_tokens_and_definitions_are_those_of_the_model_calls(dialect: str) -> None:
    trace = recorded(dialect)
    assert trace.tokens == 5 * (42 + 17) + 2 * 57 + 6
    assert trace.tool_definitions["find_order"]["parameters"]["properties"] == {"order_id": {"type": "string"}}


@pytest.mark.parametrize("with_spans", [True, False], ids=["spans for tools", "messages only"])
def test_tools_are_the_same_with_and_without_spans_of_their_own(with_spans: bool) -> None:
    trace = trace_of(support(refund={"order": "A1", "amount": 9}, tools_have_spans=with_spans))
    assert [(one.name, one.arguments, one.agent) for one in trace.tool_calls] == [
        ("find_order", {"order": "A1"}, "support"),
        ("refund", {"order": "A1", "amount": 9}, "support"),
    ]
    assert [one.result for one in trace.tool_calls] == [{"status": "shipped"}, "refunded"]
    assert [step.kind for step in trace.steps].count("tool") == 2
    assert (trace.tokens, trace.cost_usd, trace.agents, trace.duration_s) == (220, 0.02, ["support"], 9.0)


def test_messages_are_each_there_once_though_every_call_repeats_them() -> None:
    trace = trace_of(support())
    assert [one["role"] for one in trace.messages] == ["system", "user", "assistant", "tool", "assistant"]
    again = [said("user", "yes"), said("assistant", "Sure?"), said("user", "yes")]
    trace = trace_of([call(None, again, [said("assistant", "Done.")])])
    assert [one["content"] for one in trace.messages] == ["yes", "Sure?", "yes", "Done."]


def test_a_call_told_by_two_instrumentors_is_one_call() -> None:
    outer = call(None, [said("user", "hi")], [said("assistant", calls=[("t", "find", {})])], seconds=3)
    glue = span("POST", outer, at=0.2)
    inner = call(glue, [said("user", "hi")], [said("assistant", calls=[("", "find", {})])], at=0.5)
    trace = trace_of([outer, glue, inner])
    assert (len(trace.model_calls), trace.tokens, len(trace.tool_calls)) == (1, 110, 1)


def test_a_tool_inside_a_tool_of_the_same_name_is_one_call_but_an_agent_inside_starts_anew() -> None:
    root = span("invoke_agent a", operation="invoke_agent", agent_name="a", seconds=9)
    outer = tool(root, "find", {"q": 1}, at=1, seconds=3)
    protocol = tool(outer, "find", {"q": 1}, at=1.5)
    helper = span("invoke_agent b", outer, operation="invoke_agent", agent_name="b", at=2)
    nested = tool(helper, "find", {"q": 2}, at=2.2)
    trace = trace_of([root, outer, protocol, helper, nested])
    assert [(one.arguments, one.agent) for one in trace.tool_calls] == [({"q": 1}, "a"), ({"q": 2}, "b")]


def test_parallel_calls_of_one_tool_keep_their_own_arguments_whatever_their_order() -> None:
    root = span("root", seconds=9)
    asked = call(
        root, [said("user", "both")], [said("assistant", calls=[("1", "find", {"q": 1}), ("2", "find", {"q": 2})])]
    )
    late, early = tool(root, "find", {"q": 2}, "two", at=2), tool(root, "find", {"q": 1}, "one", at=3)
    trace = trace_of([root, asked, early, late])
    assert [(one.arguments, one.result) for one in trace.tool_calls] == [({"q": 2}, "two"), ({"q": 1}, "one")]
    assert {one.asked_by for one in trace.tool_calls} == {asked["span_id"]}


def test_arguments_that_are_no_json_stay_text_and_say_so() -> None:
    trace = trace_of([call(None, [said("user", "x")], [said("assistant", calls=[("1", "find", '{"q": ')])])])
    assert (trace.tool_calls[0].arguments, trace.tool_calls[0].malformed) == ('{"q": ', True)


@pytest.mark.parametrize(
    ("result", "failed"),
    [
        ({"error": "no such order"}, True),
        ({"error": None, "rows": []}, False),
        ({"status": "failed", "message": "down"}, True),
        ({"status": "shipped"}, False),
        ({"success": False}, True),
        ("Error: timed out", True),
        ("Errors are listed in the manual", False),
        ([1, 2], False),
    ],
)
def test_a_failure_that_a_tool_returns_instead_of_raising_is_seen(result: Any, failed: bool) -> None:
    trace = trace_of([tool(None, "find", {}, result)])
    assert (failure_of(trace.tool_calls[0]) is not None) == failed


def test_handoffs_by_tool_by_span_and_by_agents_that_follow_are_each_there_once() -> None:
    root = span("workflow", operation="invoke_workflow", seconds=20)
    triage = span("invoke_agent triage", root, operation="invoke_agent", agent_name="triage", at=1, seconds=3)
    chosen = call(triage, [said("user", "money back")], [said("assistant", calls=[("h", "transfer_to_refund_agent", {})])], at=1.5)  # fmt: skip
    refund = span(
        "invoke_agent Refund Agent", root, operation="invoke_agent", agent_name="Refund Agent", at=5, seconds=3
    )
    trace = trace_of([root, triage, chosen, refund])
    assert [(one.source, one.target) for one in trace.handoffs] == [("triage", "refund_agent")]
    named = span("handoff to Legal", root, at=9, operation="execute_tool")
    legal = span("invoke_agent Legal", root, operation="invoke_agent", agent_name="Legal", at=10)
    trace = trace_of([root, triage, refund, named, legal])
    assert [one.target for one in trace.handoffs] == ["Refund Agent", "Legal"]
    assert trace.agents == ["triage", "Refund Agent", "Legal"]
    assert [step.name for step in trace.find(kind="handoff")] == ["Legal"]


def test_the_span_where_an_error_arose_is_the_step_not_those_that_pass_it_on() -> None:
    root = span("GET /ask", kind="SERVER", error="500", seconds=5)
    middle = span("handler", root, error="boom", at=1, seconds=3)
    broken = span("parse", middle, error="ValueError", at=2)
    trace = trace_of([root, middle, broken])
    assert [(step.kind, step.name) for step in trace.steps] == [("error", "parse")]
    assert trace.find(error=True) == trace.errors


def test_a_web_requests_body_is_not_the_question() -> None:
    root = span("POST /chat", kind="SERVER", input="GET /", output="200", seconds=5)
    answered = call(root, [said("user", "hello?")], [said("assistant", "hi")], at=1)
    trace = trace_of([root, answered])
    assert (trace.question, trace.answer) == ("hello?", "hi")


@pytest.mark.parametrize(
    ("given", "question"),
    [
        ({"question": "why?"}, "why?"),
        ({"self": {}, "query": "why?"}, "why?"),
        ("why?", "why?"),
        ({"only": "why?"}, "why?"),
        ({"a": "x", "b": "y"}, "from the model call"),
        ({"input": {"question": "why?"}}, "why?"),
    ],
)
def test_the_arguments_of_an_observed_function_name_the_question(given: Any, question: str) -> None:
    root = span("ask", input=json.dumps(given), seconds=5)
    trace = trace_of([root, call(root, [said("user", "from the model call")], [said("assistant", "so")], at=1)])
    assert trace.question == question


def test_a_trace_without_spans_is_empty_and_prints() -> None:
    trace = trace_of([])
    assert (trace.question, trace.answer, trace.steps, trace.tool_calls, trace.context) == ("", "", [], [], "")
    assert (trace.tokens, trace.cost_usd, trace.complete) == (0, 0, False)
    assert str(trace)


def test_evidence_is_all_that_was_retrieved_and_returned_with_every_field() -> None:
    root = span("ask", seconds=9)
    documents = [{"id": "d", "content": "Refunds take 14 days.", "score": 0.9}]
    found = span("retrieval", root, operation="retrieval", output=json.dumps(documents), at=1)
    order = tool(root, "find_order", {"order": "A1"}, {"status": "shipped", "text": "parcel", "price": 30}, at=2)
    context = trace_of([root, found, order]).context
    assert "Refunds take 14 days." in context
    assert all(word in context for word in ("shipped", "parcel", "30"))


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["loop", "chain"])
def test_five_thousand_spans_are_read_in_little_time_and_rendered_within_bounds(shape: str) -> None:
    rows = [span("root", seconds=9000)]
    for number in range(MAX_SPANS + 500):
        parent = rows[0] if shape == "loop" else rows[-1]
        made = tool(parent, "find", {"q": number}, "x" * 2000, at=number) if number % 2 else call(parent, [said("user", "go")], [said("assistant", calls=[(str(number), "find", {"q": number + 1})])], at=number)  # fmt: skip
        rows.append(made)
    began = time.process_time()
    trace = trace_of(rows)
    assert trace.spans_left_out == 501
    assert len(trace.steps) > 2000
    assert trace.tool_calls
    rendered = render_trace(trace)
    assert time.process_time() - began < 5
    assert len(rendered.text) < 25_000
    assert rendered.steps_left_out > 501
    assert "steps left out" in rendered.text
    assert rendered.characters_left_out
    assert rendered.details == {
        "steps_left_out": rendered.steps_left_out,
        "characters_left_out": rendered.characters_left_out,
    }


def turns(count: int) -> list[dict[str, Any]]:
    return [
        call(None, [said("user", f"question {n}")], [said("assistant", f"answer {n}")], at=60 * n, conversation_id="c", user_id="ann")
        for n in range(count)
    ]  # fmt: skip


def test_a_conversation_is_its_turns_in_order_with_user_start_and_idle_time() -> None:
    rows = turns(3)
    conversation = conversation_of("c", rows[::-1], now=NOON + timedelta(seconds=200))
    assert [(turn.number, turn.question, turn.answer) for turn in conversation.turns] == [
        (n + 1, f"question {n}", f"answer {n}") for n in range(3)
    ]
    assert (conversation.user_id, conversation.started_at, conversation.idle_s) == ("ann", NOON, 79.0)
    assert (conversation.question, conversation.answer) == ("question 0", "answer 2")
    assert "question 0" in str(conversation)


def test_traces_in_which_nobody_asked_anything_are_no_turns() -> None:
    embedding = span("embeddings", operation="embeddings", at=30, conversation_id="c")
    assert [turn.question for turn in conversation_of("c", [*turns(2), embedding]).turns] == [
        "question 0",
        "question 1",
    ]


def test_a_long_conversation_keeps_its_beginning_and_end_and_counts_the_rest() -> None:
    conversation = conversation_of("c", turns(MAX_TURNS + 100))
    assert (len(conversation.turns), conversation.turns_left_out) == (MAX_TURNS, 100)
    assert (conversation.turns[0].number, conversation.turns[-1].number) == (1, MAX_TURNS + 100)
    rendered = render_conversation(conversation, 4000)
    assert len(rendered.text) < 4300
    assert "question 0" in rendered.text
    assert f"question {MAX_TURNS + 99}" in rendered.text
    assert rendered.steps_left_out > 100


def test_a_conversation_without_turns_prints() -> None:
    empty = Conversation("c", [])
    assert (empty.started_at, empty.idle_s, empty.question, str(empty)) == (
        None,
        0.0,
        "",
        "<Conversation c: 0 turns, begins ''>",
    )


def test_a_rendered_trace_shows_tools_errors_and_the_answer() -> None:
    root, *rest = support()
    failed = tool(root, "refund", {"order": "A1"}, "", error="no permission", at=4)
    text = render_trace(trace_of([root, *rest, failed])).text
    for part in ("USER: Where is my order A1?", 'TOOL by support find_order({"order":"A1"}) -> {"status":"shipped"}', "ERROR: no permission", "FINAL ANSWER: Your order A1 has shipped."):  # fmt: skip
        assert part in text
    incomplete = render_trace(trace_of(rest)).text
    assert "incomplete" in incomplete
    assert returned("x", "y")["role"] == "tool"
