"""The check against the published schemas refuses what is not in them, and every kind of part meets it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import ValidationError

import evalspan
from evalspan.instrument import semconv

from ..scripted import ScriptedServer
from .conftest import Spans
from .scenarios import CHAT, MESSAGE, SCENARIOS, client_of, run
from .schemas import SCHEMAS, check_messages

WRONG: dict[str, tuple[str, Any]] = {
    "a message without a role": (semconv.INPUT_MESSAGES, [{"parts": []}]),
    "a message without parts": (semconv.OUTPUT_MESSAGES, [{"role": "assistant", "content": "hi"}]),
    "text without content": (semconv.INPUT_MESSAGES, [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}]),
    "a tool call without a name": (semconv.OUTPUT_MESSAGES, [{"role": "assistant", "parts": [{"type": "tool_call"}]}]),
    "a tool's answer under its old name": (
        semconv.INPUT_MESSAGES,
        [{"role": "tool", "parts": [{"type": "tool_call_response", "result": 1}]}],
    ),
    "a blob without modality": (semconv.INPUT_MESSAGES, [{"role": "user", "parts": [{"type": "blob", "content": ""}]}]),
    "instructions without content": (semconv.SYSTEM_INSTRUCTIONS, [{"type": "text"}]),
    "a tool without a name": (semconv.TOOL_DEFINITIONS, [{"type": "web_search"}]),
    "parameters that are no schema": (
        semconv.TOOL_DEFINITIONS,
        [{"type": "function", "name": "f", "parameters": {"type": "no such type"}}],
    ),
    "a score that is no number": (semconv.RETRIEVAL_DOCUMENTS, [{"id": "1", "score": "high"}]),
}


@pytest.mark.parametrize("what", WRONG)
def test_the_check_refuses(what: str) -> None:
    name, value = WRONG[what]
    with pytest.raises(ValidationError):
        check_messages({name: json.dumps(value)})


def test_a_message_is_held_against_the_published_schema_of_every_attribute() -> None:
    assert {schema["title"] for schema in SCHEMAS.values()} == {
        "InputMessages",
        "OutputMessages",
        "SystemInstructions",
        "ToolDefinitions",
        "RetrievalDocuments",
    }


MULTIMODAL = {
    "chat.create multimodal": ["text", "blob", "uri", "blob", "file", "tool_call", "tool_call_response"],
    "responses.create multimodal": [
        *("text", "blob", "file", "reasoning", "server_tool_call", "tool_call", "tool_call_response", "item_reference"),
    ],
    "messages.create multimodal": [
        *("text", "blob", "uri", "text", "reasoning", "reasoning"),
        *("server_tool_call", "server_tool_call_response", "tool_call", "tool_call_response"),
    ],
}


@pytest.mark.parametrize("name", MULTIMODAL)
def test_every_kind_of_input_is_a_part_of_the_published_kind(name: str, server: ScriptedServer, spans: Spans) -> None:
    scenario = next(s for s in SCENARIOS if s.name == name)
    run(scenario, client_of(scenario, server))
    check_messages(spans.attributes())
    found = [part["type"] for one in spans.content(semconv.INPUT_MESSAGES) for part in one["parts"]]
    assert found == MULTIMODAL[name]


def test_tools_of_the_provider_have_the_name_that_the_schemas_ask_for(server: ScriptedServer, spans: Spans) -> None:
    openai_client = client_of(SCENARIOS[0], server)
    custom = {"type": "custom", "custom": {"name": "shell", "description": "Runs a command"}}
    openai_client.chat.completions.create(**CHAT, tools=[custom])
    openai_client.responses.create(model="gpt", input="x", tools=[{"type": "web_search"}])
    messages = next(s for s in SCENARIOS if s.name == "messages.create")
    client_of(messages, server).messages.create(
        **MESSAGE, tools=[{"type": "web_search_20250305", "name": "web_search"}]
    )
    names = []
    for span in spans.all():
        check_messages(dict(span.attributes or {}))
        names += [tool["name"] for tool in json.loads(str((span.attributes or {})[semconv.TOOL_DEFINITIONS]))]
    assert names == ["shell", "web_search", "web_search"]


def test_retrieved_documents_are_what_the_conventions_publish(spans: Spans) -> None:
    found = ["plain", ("scored", 0.5), {"id": 7, "content": "full", "score": 0.25}, {"text": "no id"}]
    evalspan.observe("docs", kind="retriever")(lambda query: found)("price")
    check_messages(spans.attributes())
