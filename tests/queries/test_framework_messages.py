"""Messages as frameworks write their own objects out are read as any others; what only looks like them is left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evalspan.queries.messages import answer_in, messages_in, question_in, requested_in, responses_in

CALL = {"city": "Oslo"}
LANGCHAIN = [
    {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "SystemMessage"], "kwargs": {"content": "Be kind."}},
    {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": "Rain?"}},
    {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "AIMessage"],
     "kwargs": {"content": "", "tool_calls": [{"name": "look", "args": CALL, "id": "1", "type": "tool_call"}]}},
    {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "ToolMessage"], "kwargs": {"content": "dry", "tool_call_id": "1"}},
    {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "AIMessage"], "kwargs": {"content": [{"type": "text", "text": "No rain."}]}},
]  # fmt: skip
DUMPED = [
    {"type": "human", "content": "Rain?", "additional_kwargs": {}, "id": None},
    {"type": "ai", "content": "", "tool_calls": [{"name": "look", "args": CALL, "id": "1"}]},
    {"type": "tool", "content": "dry", "tool_call_id": "1"},
    {"type": "ai", "content": "No rain.", "tool_calls": []},
]
HAYSTACK = [
    {"_role": "user", "_content": [{"text": "Rain?"}], "_name": None, "_meta": {}},
    {"_role": "assistant", "_content": [{"tool_name": "look", "arguments": CALL, "id": "1", "extra": None}]},
    {"_role": "tool", "_content": [{"result": "dry", "origin": {"tool_name": "look", "arguments": CALL, "id": "1"}, "error": False}]},
    {"_role": "assistant", "_content": [{"text": "No rain."}]},
]  # fmt: skip
HAYSTACK_NAMED = [
    {"role": "user", "content": [{"text": "Rain?"}], "meta": {}, "name": None},
    {"role": "assistant", "content": [{"tool_call": {"tool_name": "look", "arguments": CALL, "id": "1"}}]},
    {"role": "tool", "content": [{"tool_call_result": {"result": "dry", "origin": {"id": "1"}, "error": False}}]},
    {"role": "assistant", "content": [{"text": "No rain."}]},
]
LLAMA = [
    {"role": "user", "additional_kwargs": {}, "blocks": [{"block_type": "text", "text": "Rain?"}]},
    {"role": "assistant", "blocks": [{"block_type": "tool_call", "tool_call_id": "1", "tool_name": "look", "tool_kwargs": CALL}]},
    {"role": "tool", "additional_kwargs": {"tool_call_id": "1"}, "blocks": [{"block_type": "text", "text": "dry"}]},
    {"role": "assistant", "blocks": [{"block_type": "text", "text": "No rain."}]},
]  # fmt: skip
FULL = {"langchain": LANGCHAIN, "dumped": DUMPED, "haystack": HAYSTACK, "haystack 2": HAYSTACK_NAMED, "llama": LLAMA}
SHORT = {
    "pairs": [["human", "Rain?"], ["ai", "No rain."]],
    "autogen": [
        {"id": "1", "source": "user", "content": "Rain?", "type": "TextMessage"},
        {"id": "2", "source": "forecaster", "content": "No rain.", "type": "TextMessage"},
    ],
    "a list of batches": [LANGCHAIN],
}


@pytest.mark.parametrize("wrapped", [False, True], ids=["list", "state"])
@pytest.mark.parametrize("name", [*FULL, *SHORT])
def test_question_and_answer_are_found_in_what_a_framework_writes(name: str, wrapped: bool) -> None:
    value: Any = {**FULL, **SHORT}[name]
    raw = json.dumps({"messages": value, "steps": 3} if wrapped else value)
    assert (question_in(raw), answer_in(raw)) == ("Rain?", "No rain.")


@pytest.mark.parametrize("name", FULL)
def test_tool_calls_and_their_results_are_found_in_what_a_framework_writes(name: str) -> None:
    found = messages_in(json.dumps(FULL[name]))
    assert [(one.id, one.name, one.arguments) for one in requested_in(found)] == [("1", "look", CALL)]
    assert [(call_id, result) for call_id, result, _ in responses_in(found)] == [("1", "dry")]


@pytest.mark.parametrize(
    "value",
    [
        [],
        [[]],
        [["Oslo", "Rome"]],
        [["human", 5]],
        {"messages": []},
        [{"kwargs": {"content": "x"}}, 7],
        [{"type": "ai"}],
        [{"_role": "user"}],
        [{"source": "sensor", "content": 7}],
        [{"role": "user", "blocks": None}],
        {"messages": "none"},
    ],
)
def test_what_is_no_conversation_has_no_messages(value: Any) -> None:
    assert messages_in(json.dumps(value)) == []


@pytest.mark.parametrize(
    ("raw", "question"),
    [
        ({"inputs": {"messages": [["user", "Rain?"]]}, "tags": [], "kwargs": {"name": "LangGraph"}}, "Rain?"),
        ({"inputs": {"messages": LANGCHAIN}, "metadata": {}}, "Rain?"),
        ({"inputs": {"question": "Rain?", "city": "Oslo"}, "tags": ["a"]}, "Rain?"),
        ({"inputs": "Rain?", "tags": []}, "Rain?"),
        ({"args": ["Rain?"], "kwargs": {}}, "Rain?"),
        ({"args": [], "kwargs": {"question": "Rain?", "k": 3}}, "Rain?"),
        ({"args": ["Rain?", "Oslo"], "kwargs": {}}, ""),
        ({"args": [], "kwargs": {}}, ""),
        ({"inputs": [1, 2]}, ""),
    ],
)
def test_the_question_is_found_inside_what_an_instrumentor_puts_around_arguments(raw: Any, question: str) -> None:
    assert question_in(json.dumps(raw)) == question


def test_the_answer_is_found_inside_what_an_instrumentor_puts_around_results() -> None:
    assert answer_in(json.dumps({"outputs": {"messages": LANGCHAIN}, "kwargs": {"tags": []}})) == "No rain."
    assert answer_in(json.dumps({"outputs": {"answer": "No rain.", "sources": []}, "kwargs": {}})) == "No rain."
