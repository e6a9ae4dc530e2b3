"""What agents of eighteen frameworks really exported, as evaluators get it: question, answer, tools, each call once."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.dialects import normalise
from evalspan.evaluators import ArgumentsValid, ErrorsHandled, NoRepeatedCalls, Score, ToolCalls
from evalspan.evaluators.trajectory.otlp_rows import rows_of
from evalspan.evaluators.trajectory.stored import read_traces
from evalspan.evaluators.trajectory.trace import Trace, trace_of
from evalspan.queries.store.client import Store
from evalspan.queries.unit_scoring_store import UnitScoringStore
from tests.frameworks.recording import RECORDINGS, load
from tests.frameworks.truth import Stored

QUESTION, ANSWER = "What is the weather in Lisbon?", "It is sunny in Lisbon."
# By framework: agents and workflows that ended well in its recording, and how each calls the tool get_weather.
ENDED = {
    "agent_framework": (2, "get_weather"),
    "autogen": (3, "get_weather"),
    "claude_agent_sdk": (1, "mcp__w__get_weather"),
    "crewai": (2, "get_weather"),
    "dspy": (1, "get_weather"),
    "google_genai": (8, "get_weather"),
    "haystack": (1, "get_weather"),
    "langchain": (5, "get_weather"),
    "llama_index": (2, "get_weather"),
    "openai_agents": (6, "get_weather"),
    "pydantic_ai": (6, "get_weather"),
    "semantic_kernel": (2, "Weather-get_weather"),
    "smolagents": (3, "final_answer"),
    "strands": (2, "get_weather"),
    "vercel_ai": (2, "get_weather"),
    "vercel_ai_4": (2, "get_weather"),
    "vercel_ai_7": (2, "get_weather"),
}
TEAM, HANDED, ASKS_ITSELF = "a", "Triage", "Search"


@cache
def traces(framework: str) -> list[Trace]:
    """As an experiment reads what its target exported: without a store."""
    rows: dict[str, list[dict[str, Any]]] = {}
    whole = ExportTraceServiceRequest()
    for body in load(RECORDINGS / f"{framework}.one.msgpack.gz").bodies:
        whole.MergeFromString(body)
    normalise(whole)
    for row in rows_of(whole):
        rows.setdefault(row["trace_id"], []).append(row)
    return [trace_of(one) for one in rows.values()]


def ended(framework: str) -> list[Trace]:
    """The traces of agents, and of workflows that called tools, in which nothing failed."""
    ran = [trace for trace in traces(framework) if trace.agents or any(call.executed for call in trace.tool_calls)]
    return [trace for trace in ran if not trace.errors and trace.answer and trace.model_calls and (trace.tool_calls or len(trace.spans) > 2)]  # fmt: skip


@pytest.mark.parametrize("framework", ENDED)
def test_an_agents_question_and_answer_are_what_the_user_wrote_and_read(framework: str) -> None:
    found = [trace for trace in ended(framework) if trace.tool_calls]
    assert {trace.answer for trace in found} == {ANSWER}
    assert all(QUESTION in trace.question for trace in found)
    if framework != "crewai":  # whose agents are given a task around it
        assert {trace.question for trace in found} == {QUESTION}


@pytest.mark.parametrize("framework", ENDED)
async def test_each_tool_call_of_an_agent_is_one_with_its_arguments_and_its_plain_result(framework: str) -> None:
    least, name = ENDED[framework]
    found = [trace for trace in ended(framework) if trace.tool_calls]
    plain = [trace for trace in found if trace.agents[:1] not in ([HANDED], [ASKS_ITSELF])]
    calls = [[(call.name, call.arguments, call.result, call.error) for call in trace.tool_calls] for trace in plain]
    arguments = {"answer": ANSWER} if name == "final_answer" else {"city": "Lisbon"}
    result = ANSWER if name == "final_answer" else "sunny in Lisbon"
    assert calls == [[(name, arguments, result, None)]] * len(plain)
    assert len(plain) >= min(least, 1)
    for trace in plain:
        expected = ToolCalls([{"name": name, "arguments": arguments}], order="exact")(trace)
        assert isinstance(expected, Score)
        assert expected.passed is True
        for one in (NoRepeatedCalls(), ErrorsHandled()):
            judged = one(trace)
            assert not isinstance(judged, Score) or judged.passed is True, (one, judged)
        valid = ArgumentsValid()(trace)
        assert not isinstance(valid, Score) or valid.passed is True, valid


def test_a_handed_over_agent_and_a_tool_that_asks_a_model_keep_their_names() -> None:
    found = {trace.agents[0]: trace for trace in ended("openai_agents")}
    assert found[HANDED].agents == ["Triage", "Weather"]
    assert [one.target.lower() for one in found[HANDED].handoffs] == ["weather"]
    assert [call.name for call in found[ASKS_ITSELF].tool_calls] == ["search"]


def test_a_model_that_is_asked_again_for_the_right_form_has_not_been_asked_that() -> None:
    questions = {trace.question for trace in traces("pydantic_ai")}
    assert not any("failed" in question for question in questions)


def test_a_prompt_with_passages_is_not_the_question() -> None:
    found = [trace for trace in traces("langchain") if any(step.kind == "retrieval" for step in trace.steps)]
    assert [(trace.question, trace.answer) for trace in found] == [(QUESTION, ANSWER)]


@pytest.mark.parametrize("framework", ENDED)
def test_a_trace_is_the_same_without_a_store_as_with_one(framework: str, store: Store) -> None:
    Stored(load(RECORDINGS / f"{framework}.one.msgpack.gz"), store)
    offline = {trace.trace_id: trace for trace in traces(framework)}
    online = read_traces(UnitScoringStore(store), f"framework-{framework}-one", list(offline))
    assert {name: facts(one) for name, one in online.items()} == {name: facts(one) for name, one in offline.items()}


def facts(trace: Trace) -> dict[str, Any]:
    return {
        "question": trace.question,
        "answer": trace.answer,
        "agents": trace.agents,
        "tools": [(call.name, call.arguments, call.result, call.error, call.executed) for call in trace.tool_calls],
        "steps": [(step.kind, step.name, step.error, step.tokens, step.input, step.output) for step in trace.steps],
        "handoffs": [(one.source, one.target) for one in trace.handoffs],
        "messages": [(message["role"], message["content"]) for message in trace.messages],
        "context": trace.context,
        "tool definitions": trace.tool_definitions,
        "tokens": (trace.input_tokens, trace.output_tokens, trace.unpriced_calls),
        "cost": pytest.approx(trace.cost_usd),
    }
