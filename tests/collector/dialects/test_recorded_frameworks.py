"""Bodies that ADK, LangSmith's export and Genkit really sent (recordings/more, made by record_more.py), and Braintrust's names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.dialects import normalise
from evalspan.collector.dialects.nested_calls import NestedCalls
from evalspan.collector.insert.prices import Pricing
from evalspan.collector.log.framing import frame
from evalspan.queries.store.client import Store

RECORDINGS = Path(__file__).parent / "recordings" / "more"
ASKED, ANSWER = "What is the weather in Lisbon?", "It is sunny in Lisbon."
# What the scripted servers counted: input, output, cached and reasoning tokens of each call that did not fail.
COUNTED = {
    "adk": [(1000, 100, 0, 0), (1001, 101, 0, 0)],
    "langsmith": [(1000, 100, 5, 3), (1001, 101, 5, 3), (1002, 102, 5, 3)],
    "genkit": [(1001, 101, 5, 3), (1002, 102, 5, 3)],
}
FAILED = {"adk": 0, "langsmith": 1, "genkit": 1}
STEPS = {
    "adk": {"agent": 1, "tool": 1, "workflow": 1},
    "langsmith": {"tool": 1, "retrieval": 1, "other": 1},
    "genkit": {"tool": 1, "retrieval": 1, "workflow": 1, "other": 3},
}
WITH_CONTENT = ("langsmith", "genkit")  # ADK sends what was said as log records


@pytest.fixture(scope="module")
def rows(store: Store) -> dict[str, list[dict[str, Any]]]:
    pricing, found = Pricing(store), {}
    for name in COUNTED:
        request = ExportTraceServiceRequest.FromString((RECORDINGS / f"{name}.otlp").read_bytes())
        normalise(request, NestedCalls(), f"more-{name}")
        pricing.insert(b"".join(frame(request.SerializeToString(), f"more-{name}", 1)), f"more-{name}")
        sql = "SELECT * FROM spans WHERE project = {project:String} ORDER BY start_time"
        found[name] = store.query(sql, {"project": f"more-{name}"}).dicts()
    return found


@pytest.mark.parametrize("name", COUNTED)
def test_every_call_once_with_exact_tokens_a_price_and_a_model(
    name: str, rows: dict[str, list[dict[str, Any]]]
) -> None:
    calls = [row for row in rows[name] if row["role"] == "call" and row["operation"] != "embeddings"]
    told = [tuple(row[f"{kind}_tokens"] for kind in ("input", "output", "cached", "reasoning")) for row in calls if row["status"] != "ERROR"]  # fmt: skip
    assert told == COUNTED[name]
    assert len([row for row in calls if row["status"] == "ERROR"]) == FAILED[name]
    for row in calls:
        assert row["provider"] == ("gcp.gemini" if name == "adk" else "openai")
        assert row["error_type"] if row["status"] == "ERROR" else row["cost_usd"] > 0


@pytest.mark.parametrize("name", STEPS)
def test_agents_tools_retrieval_and_workflows_are_shown_as_such(
    name: str, rows: dict[str, list[dict[str, Any]]]
) -> None:
    roles = [row["role"] for row in rows[name] if row["role"] != "call"]
    assert {role: roles.count(role) for role in roles} == STEPS[name]
    tool = next(row for row in rows[name] if row["role"] == "tool")
    assert tool["tool_name"] == "get_weather"
    if name in WITH_CONTENT:
        assert (json.loads(tool["input"]), tool["output"]) == ({"city": "Lisbon"}, "sunny")
        found = next(row for row in rows[name] if row["role"] == "retrieval")
        assert "Lisbon is sunny." in found["output"]
        root = next(row for row in rows[name] if not row["parent_span_id"])
        assert ASKED in root["input"]
        assert root["output"] == ANSWER


@pytest.mark.parametrize("name", WITH_CONTENT)
def test_messages_have_the_conventions_shape(name: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    answered = [row for row in rows[name] if row["role"] == "call" and ANSWER in row["output"]]
    assert answered
    for row in answered:
        (said,) = json.loads(row["output"])
        assert (said["role"], said["parts"]) == ("assistant", [{"type": "text", "content": ANSWER}])
        asked = json.loads(row["input"])
        assert [message["role"] for message in asked][:1] in (["system"], ["user"])
        assert {"type": "text", "content": ASKED} in [part for message in asked for part in message["parts"]]


def test_a_session_of_langsmiths_metadata_is_the_conversation(rows: dict[str, list[dict[str, Any]]]) -> None:
    assert {row["conversation_id"] for row in rows["langsmith"]} == {"session-1"}
    assert {row["conversation_id"] for row in rows["adk"] if row["role"] in ("call", "agent")} == {"session-1"}


def _normalised(scope: str, attributes: dict[str, Any]) -> dict[str, Any]:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add().scope_spans.add()
    group.scope.name = scope
    span = group.spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    for key, value in attributes.items():
        span.attributes.add(key=key).value.string_value = value if isinstance(value, str) else json.dumps(value)
    normalise(request)
    return {one.key: one.value.string_value or one.value.int_value or one.value.double_value for one in span.attributes}


def test_braintrusts_names_are_read() -> None:
    found = _normalised(
        "braintrust",
        {
            "braintrust.parent": "project_name:shop",
            "braintrust.span_attributes": {"type": "llm", "name": "Chat Completion"},
            "braintrust.input_json": [{"role": "user", "content": ASKED}],
            "braintrust.output_json": {"choices": [{"message": {"role": "assistant", "content": ANSWER}}]},
            "braintrust.metadata": {"model": "gpt-4.1-mini", "provider": "openai", "temperature": 0.5, "session_id": "s-1"},
            "braintrust.metrics": {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_cached_tokens": 5, "completion_reasoning_tokens": 3, "time_to_first_token": 0.25},
        },
    )  # fmt: skip
    assert found["braintrust.parent"] == "project_name:shop"
    assert (found["gen_ai.operation.name"], found["gen_ai.request.model"], found["gen_ai.provider.name"]) == ("chat", "gpt-4.1-mini", "openai")  # fmt: skip
    kinds = ("input", "output", "cache_read.input", "reasoning.output")
    assert [found[f"gen_ai.usage.{kind}_tokens"] for kind in kinds] == [1000, 100, 5, 3]
    assert json.loads(found["gen_ai.input.messages"])[0]["parts"] == [{"type": "text", "content": ASKED}]
    assert json.loads(found["gen_ai.output.messages"])[0]["parts"] == [{"type": "text", "content": ANSWER}]
    assert found["gen_ai.conversation.id"] == "s-1"


def test_langchains_serialised_messages_are_read_from_langsmiths_export() -> None:
    def message(kind: str, **held: Any) -> dict[str, Any]:
        return {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", kind], "kwargs": held}

    called = {"id": "c1", "name": "get_weather", "args": {"city": "Lisbon"}}
    asked = [message("SystemMessage", content="Be brief."), message("HumanMessage", content=ASKED)]
    found = _normalised(
        "langsmith",
        {
            "langsmith.span.kind": "llm",
            "gen_ai.prompt": {"messages": [asked]},
            "gen_ai.completion": {"generations": [[{"text": "", "message": message("AIMessage", content="", tool_calls=[called])}]]},
        },
    )  # fmt: skip
    assert [one["role"] for one in json.loads(found["gen_ai.input.messages"])] == ["system", "user"]
    (said,) = json.loads(found["gen_ai.output.messages"])
    assert said["parts"] == [{"type": "tool_call", "id": "c1", "name": "get_weather", "arguments": {"city": "Lisbon"}}]


@pytest.mark.parametrize("total", [1103, 1100])
def test_genkits_answer_has_what_was_thought_whoever_counts_it(total: int) -> None:
    """With Gemini the answer's tokens leave it out, with OpenAI they have it: the total says which."""
    usage = {"inputTokens": 1000, "outputTokens": 100, "thoughtsTokens": 3, "totalTokens": total}
    found = _normalised(
        "genkit-tracer",
        {
            "genkit:metadata:subtype": "model",
            "genkit:name": "googleai/gemini-2.5-flash",
            "genkit:output": {"message": {"role": "model", "content": [{"text": ANSWER}]}, "usage": usage},
        },
    )
    assert found["gen_ai.usage.output_tokens"] == total - 1000
    assert (found["gen_ai.provider.name"], found["gen_ai.request.model"]) == ("gcp.gemini", "gemini-2.5-flash")


@pytest.mark.parametrize("scope", ["langsmith", "braintrust", "genkit-tracer"])
@pytest.mark.parametrize(
    "odd", ["", "{", "[]", "null", "1", '"x"', "[[]]", "[[1]]", '{"messages": [[null]]}', '{"message": 1}', "{'a': "]
)
def test_odd_values_cost_no_span(scope: str, odd: str) -> None:
    names = ("langsmith.span.kind", "langsmith.metadata.usage_metadata", "langsmith.span.tags", "gen_ai.prompt", "gen_ai.completion",
        "gen_ai.usage.input_token_details", "braintrust.span_attributes", "braintrust.metadata", "braintrust.metrics", "braintrust.input_json",
        "braintrust.output_json", "genkit:metadata:subtype", "genkit:input", "genkit:output", "genkit:name")  # fmt: skip
    for kind in (
        {"langsmith.span.kind": "llm"},
        {"genkit:metadata:subtype": "model"},
        {"genkit:metadata:subtype": "embedder"},
        {},
    ):
        found = _normalised(scope, {**dict.fromkeys(names, odd), **kind})
        for name in kind:
            assert name not in found, "the dialect failed and the span stayed as it came"
