"""One odd piece of an answer costs that piece: what servers send that no schema foresees."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import evalspan
from evalspan.instrument import semconv
from evalspan.instrument.libraries.anthropic.message_call import usage as anthropic_usage
from evalspan.instrument.libraries.openai.fields import usage as openai_usage

from .conftest import Spans
from .test_streamed_and_whole import Answers

USED = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USED}


@pytest.fixture(scope="module")
def answers() -> Iterator[Answers]:
    spans = Spans()
    evalspan.init(tracer_provider=spans.provider)
    yield Answers(spans)
    evalspan.uninstrument()


def chunk(**given: Any) -> dict[str, Any]:
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", **given}


def delta(**given: Any) -> dict[str, Any]:
    return chunk(choices=[{"index": 0, "delta": given, "finish_reason": None}])


def parts(attributes: dict[str, Any], name: str = semconv.OUTPUT_MESSAGES) -> list[dict[str, Any]]:
    return [part for message in attributes.get(name, ()) for part in message["parts"]]


def calls(attributes: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(p["id"], p["name"], p["arguments"]) for p in parts(attributes) if p["type"] == "tool_call"]


def call(id_: Any, name: Any, arguments: Any, **at: Any) -> dict[str, Any]:
    return {**at, "id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


TWO = [(None, "get_weather", {"city": "Rome"}), (None, "get_time", {"tz": "CET"})]
SAME = [(None, "get_weather", {"city": "Rome"}), (None, "get_weather", {"city": "Oslo"})]
ROME, CET, OSLO = '{"city":"Rome"}', '{"tz":"CET"}', '{"city":"Oslo"}'
TOOL_CALLS: dict[str, tuple[list[dict[str, Any]], list[tuple[Any, ...]]]] = {
    "no ids, one index": ([call(None, "get_weather", ROME, index=0), call(None, "get_time", CET, index=0)], TWO),
    "no ids, no indexes": ([call("", "get_weather", ROME), call("", "get_time", CET)], TWO),
    "one function twice, no ids, one index": ([call(None, "get_weather", ROME, index=0), call(None, "get_weather", OSLO, index=0)], SAME),
    "no ids, own indexes": ([call(None, "get_weather", ROME, index=0), call(None, "get_time", CET, index=1)], TWO),
    "one id for both, own indexes": ([call("a", "get_weather", ROME, index=0), call("a", "get_time", CET, index=1)], [("a", *TWO[0][1:]), ("a", *TWO[1][1:])]),
    "the id in a later piece": ([call(None, "get_weather", "", index=0), call("a", None, ROME, index=0)], [("a", *TWO[0][1:])]),
    "the name in pieces": ([call("a", "get_", "", index=0), call(None, "weather", "", index=0), call(None, None, ROME, index=0)], [("a", *TWO[0][1:])]),
    "name and id repeated at the end": ([call("a", "get_weather", ROME, index=0), call("a", "get_weather", "", index=0)], [("a", *TWO[0][1:])]),
    "name repeated at the end, no id": ([call(None, "get_weather", ROME, index=0), call(None, "get_weather", "", index=0)], [TWO[0]]),
    "arguments as an object, both at index 0": ([call("a", "get_weather", {"city": "Rome"}, index=0), call("b", "get_time", {"tz": "CET"}, index=0)], [("a", *TWO[0][1:]), ("b", *TWO[1][1:])]),
    "no function": ([{"index": 0, "id": "a"}, call("a", "get_weather", ROME, index=0)], [("a", *TWO[0][1:])]),
    "a piece that is none": ([None, "x", 7, call("a", "get_weather", ROME, index=0)], [("a", *TWO[0][1:])]),  # type: ignore[list-item]
}  # fmt: skip


@pytest.mark.parametrize("together", [True, False], ids=["in one chunk", "a chunk each"])
@pytest.mark.parametrize("name", TOOL_CALLS)
def test_tool_calls_however_they_are_told_apart(name: str, together: bool, answers: Answers) -> None:
    pieces, expected = TOOL_CALLS[name]
    chunks = [delta(tool_calls=pieces)] if together else [delta(tool_calls=[piece]) for piece in pieces]
    attributes, _ = answers.stream(answers.chat, [*chunks, chunk(**END), "[DONE]"])
    found = [one for one in calls(attributes) if one[1]]
    assert found == expected


CHUNKS: dict[str, list[dict[str, Any]]] = {
    "a choice without delta first": [chunk(choices=[{"index": 0, "finish_reason": None}]), delta(content="Hello")],
    "delta null": [chunk(choices=[{"index": 0, "delta": None, "finish_reason": None}]), delta(content="Hello")],
    "choices null": [chunk(choices=None), delta(content="Hello")],
    "no choices": [chunk(), delta(content="Hello")],
    "a choice that is none": [
        chunk(choices=[None, {"index": 0, "delta": {"content": "Hello"}, "finish_reason": None}])
    ],
    "content in parts": [
        delta(content=[{"type": "text", "text": "Hel"}]),
        delta(content=[{"type": "text", "text": "lo"}]),
    ],
    "text and parts mixed": [delta(content="Hel"), delta(content=[{"type": "text", "text": "lo"}])],
    "a part that is a text": [delta(content=["Hel", "lo"])],
    "no index": [chunk(choices=[{"delta": {"content": "Hello"}, "finish_reason": None}])],
    "content is a number": [delta(content="Hello"), delta(content=7)],
    "tool calls are no list": [delta(content="Hello", tool_calls="x")],
    "fields nobody knows": [delta(content="Hello", x={"y": [1]}), chunk(z=1, choices=[])],
    "role in every chunk": [delta(role="assistant", content="Hel"), delta(role="assistant", content="lo")],
}


@pytest.mark.parametrize("name", CHUNKS)
def test_a_chunk_costs_no_more_than_what_is_odd_in_it(name: str, answers: Answers) -> None:
    attributes, _ = answers.stream(answers.chat, [*CHUNKS[name], chunk(**END), "[DONE]"])
    assert "".join(part.get("content", "") for part in parts(attributes)) == "Hello"
    assert attributes[semconv.FINISH_REASONS] == ("stop",)
    assert attributes[semconv.OUTPUT_TOKENS] == 7
    assert attributes[semconv.RESPONSE_MODEL] == "m"


USAGES: dict[str, dict[str, Any]] = {
    "Groq's": chunk(choices=[], x_groq={"id": "x", "usage": USED}),
    "Moonshot's": chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USED}]),
    "behind the end": chunk(choices=[], usage=USED),
}


@pytest.mark.parametrize("name", USAGES)
def test_usage_is_read_where_servers_put_it(name: str, answers: Answers) -> None:
    end = chunk(choices=END["choices"])
    attributes, _ = answers.stream(answers.chat, [delta(content="Hi"), end, USAGES[name], "[DONE]"])
    assert (attributes[semconv.INPUT_TOKENS], attributes[semconv.OUTPUT_TOKENS]) == (11, 7)


def test_a_thinking_models_parts_are_thoughts_and_text(answers: Answers) -> None:
    thought = [{"type": "thinking", "thinking": [{"type": "text", "text": text}]} for text in ("Let me ", "see.")]
    chunks = [delta(content=[one]) for one in thought] + [delta(content="It is 4.")]
    attributes, _ = answers.stream(answers.chat, [*chunks, chunk(**END), "[DONE]"])
    said = [{"type": "reasoning", "content": "Let me see."}, {"type": "text", "content": "It is 4."}]
    assert parts(attributes) == said
    whole = {"role": "assistant", "content": [*thought, {"type": "text", "text": "It is 4."}]}
    body = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": whole, "finish_reason": "stop"}],
    }
    attributes, _ = answers.whole(answers.chat, body)
    assert parts(attributes)[-1] == said[-1]


def test_sources_beside_the_choices_are_citations_of_the_text(answers: Answers) -> None:
    attributes, _ = answers.stream(
        answers.chat, [delta(content="Yes"), chunk(**END, citations=["https://a.example"]), "[DONE]"]
    )
    assert parts(attributes) == [
        {"type": "text", "content": "Yes", "citations": [{"type": "url_citation", "url": "https://a.example"}]}
    ]


FAILED: dict[str, dict[str, Any]] = {
    "in the body": {"error": {"code": 502, "message": "upstream"}},
    "in a choice": {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "error", "error": {"code": "overloaded", "message": "upstream"}}]},
}  # fmt: skip


@pytest.mark.parametrize("name", FAILED)
def test_a_gateways_error_inside_a_200_is_an_error(name: str, answers: Answers) -> None:
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [], **FAILED[name]}
    attributes, (status, description) = answers.whole(answers.chat, body)
    assert (status, description) == ("ERROR", "upstream")
    assert attributes[semconv.ERROR_TYPE]


def response(**given: Any) -> dict[str, Any]:
    base = {"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5", "output": [], "tools": [], "parallel_tool_calls": True, "tool_choice": "auto"}  # fmt: skip
    return {**base, **given}


CREATED = {"type": "response.created", "sequence_number": 0, "response": response(status="in_progress")}
SAID = {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "m", "output_index": 0, "content_index": 0, "delta": "Hel", "logprobs": []}  # fmt: skip
ENDINGS: dict[str, tuple[dict[str, Any], str]] = {
    "failed": ({"type": "response.failed", "response": response(status="failed", error={"code": "server_error", "message": "bad"})}, "server_error"),
    "failed without a reason": ({"type": "response.failed", "response": response(status="failed")}, "failed"),
    "error": ({"type": "error", "code": "server_error", "message": "bad", "param": None}, "server_error"),
    "error without a code": ({"type": "error", "code": None, "message": "bad", "param": None}, "error"),
    "incomplete": ({"type": "response.incomplete", "response": response(status="incomplete", incomplete_details={"reason": "content_filter"})}, "content_filter"),
    "incomplete, cut": ({"type": "response.incomplete", "response": response(status="incomplete", incomplete_details={"reason": "max_output_tokens"})}, "max_output_tokens"),
    "cancelled": ({"type": "response.cancelled", "response": response(status="cancelled")}, "cancelled"),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDINGS)
def test_a_stream_that_ends_in_failure_is_an_error_with_what_was_said(name: str, answers: Answers) -> None:
    event, kind = ENDINGS[name]
    attributes, (status, _) = answers.stream(
        answers.respond, [CREATED, SAID, {"sequence_number": 2, **event}], named=True
    )
    assert (status, attributes[semconv.ERROR_TYPE]) == ("ERROR", kind)
    assert parts(attributes) == [{"type": "text", "content": "Hel"}]


def test_claudes_documents_errors_and_search_results_keep_their_texts(answers: Answers) -> None:
    texts = [{"type": "text", "text": "The Pro plan"}, {"type": "text", "text": "costs 20 euros."}]
    document = {
        "type": "document",
        "title": "Prices",
        "context": "as of May",
        "source": {"type": "content", "content": texts},
    }
    found = {"type": "search_result", "source": "https://a.example", "title": "Found", "content": texts}
    failed = {
        "type": "tool_result",
        "tool_use_id": "t",
        "is_error": True,
        "content": [{"type": "text", "text": "no such city"}],
    }
    answers.body, answers.kind = json.dumps({"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [], "usage": {}}).encode(), "application/json"  # fmt: skip
    asked: Any = [{"role": "user", "content": [document, found, failed]}]
    answers.anthropic.messages.create(model="c", max_tokens=9, messages=asked)
    attributes, _ = answers.take()
    text = "The Pro plan\ncosts 20 euros."
    assert parts(attributes, semconv.INPUT_MESSAGES) == [
        {"type": "text", "content": text, "title": "Prices", "context": "as of May"},
        {"type": "text", "content": text, "title": "Found", "source": "https://a.example"},
        {"type": "tool_call_response", "id": "t", "response": "no such city", "is_error": True},
    ]


def test_claudes_charges_are_recorded(answers: Answers) -> None:
    used = {
        "input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 45, "service_tier": "batch",
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 40},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
    }  # fmt: skip
    body = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "content": [],
        "stop_reason": "end_turn",
        "usage": used,
    }
    attributes, _ = answers.whole(answers.message, body)
    assert attributes[semconv.CACHE_WRITE_1H_TOKENS] == 40
    assert attributes[semconv.CACHE_WRITE_TOKENS] == 45
    assert attributes[semconv.WEB_SEARCHES] == 2
    assert attributes[f"{semconv.SERVER_TOOL_PREFIX}web_fetch"] == 1
    assert attributes[semconv.SERVICE_TIER] == "batch"


def test_openais_charges_are_recorded(answers: Answers) -> None:
    items = [
        {"type": "web_search_call", "id": f"w{n}", "status": "completed", "action": {"type": kind}}
        for n, kind in enumerate(["search", "open_page", "search"])
    ]
    attributes, _ = answers.whole(answers.respond, response(status="completed", service_tier="flex", output=items))
    assert attributes[semconv.WEB_SEARCHES] == 2
    assert attributes[semconv.SERVICE_TIER] == "flex"
    for cost in (0.0125, {"total_cost": 0.0125, "request_cost": 0.01}):
        body = {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [],
            "usage": {**USED, "cost": cost},
        }
        attributes, _ = answers.whole(answers.chat, body)
        assert attributes[semconv.REPORTED_COST_USD] == 0.0125


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [("11", 11), (11.0, 11), (11, 11), (0, 0), (-1, None), ("", None), ("many", None), (11.5, None), (True, None), ([], None), ("²", None)],
)  # fmt: skip
def test_a_count_is_a_count_however_a_gateway_writes_it(sent: Any, wanted: int | None) -> None:
    for name in ("prompt_tokens", "input_tokens"):
        assert openai_usage({name: sent, "completion_tokens": 7}).get(semconv.INPUT_TOKENS) == wanted
    details = openai_usage({"prompt_tokens": 20, "prompt_tokens_details": {"cached_tokens": sent}})
    assert details.get(semconv.CACHED_TOKENS) == wanted
    assert anthropic_usage({"input_tokens": sent, "output_tokens": 7}).get(semconv.INPUT_TOKENS) == wanted
    cached = anthropic_usage({"input_tokens": 20, "cache_read_input_tokens": sent})
    assert cached[semconv.INPUT_TOKENS] == 20 + (wanted or 0)
    assert cached.get(semconv.CACHED_TOKENS) == wanted
