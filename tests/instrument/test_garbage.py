"""Whatever an API answers, traced and untraced calls end alike; and each call has one span, ended before it returns."""

from __future__ import annotations

import copy
import gc
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from pydantic import BaseModel

import evalspan

from .. import scripted_bodies as bodies
from .conftest import Spans

CASES = 60
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
MESSAGES: Any = [{"role": "user", "content": "hi"}]
SENT = {"model": "m", "messages": MESSAGES, "input": "x", "stream_options": {"include_usage": True}}
JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 1e308, 10**25, "", "x", "\0", "\ud800", [], {}, [None], [[]], [{}], {"a": 1}, [1, 2, 3],
    {"index": -5}, {"type": "text"}, {"content": {"x": [1]}},
)  # fmt: skip


class Wire(httpx2.SyncByteStream):
    """A body that arrives in pieces, as over a network."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self._body), 97):
            yield self._body[at : at + 97]


class Api:
    """Both SDKs in front of one prepared answer."""

    def __init__(self) -> None:
        self.status, self.kind, self.body = 200, "application/json", b""
        http = httpx2.Client(transport=httpx2.MockTransport(self._answer))
        self.openai = openai.OpenAI(api_key="k", base_url="http://t/v1", http_client=http, max_retries=0)
        self.anthropic = anthropic.Anthropic(api_key="k", base_url="http://t", http_client=http, max_retries=0)

    def _answer(self, _: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(self.status, headers={"content-type": self.kind}, stream=Wire(self.body))


def plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        try:
            return value.model_dump_json(warnings=False)
        except Exception as error:
            return type(error).__name__
    return repr(value) if not isinstance(value, (list, tuple)) else [plain(one) for one in value]


def read(stream: Any) -> list[Any]:
    return [plain(one) for one in stream]


def with_helper(manager: Any, final: str) -> Any:
    with manager as stream:
        return [getattr(event, "type", None) for event in stream], plain(getattr(stream, final)())


def left_early(manager: Any) -> Any:
    with manager as stream:
        for one in stream:
            return plain(one)
    return None


def raw(manager: Any) -> Any:
    with manager as response:
        return response.status_code, plain(response.parse())


def _chat(**more: Any) -> Callable[[Api], Any]:
    return lambda api: api.openai.chat.completions.create(model="m", messages=MESSAGES, **more)


def _message(**more: Any) -> Callable[[Api], Any]:
    return lambda api: api.anthropic.messages.create(model="m", max_tokens=5, messages=MESSAGES, **more)


def _message_stream(api: Api) -> Any:
    return api.anthropic.messages.stream(model="m", max_tokens=5, messages=MESSAGES)


def _chat_stream(api: Api) -> Any:
    return api.openai.chat.completions.stream(model="m", messages=MESSAGES)


SURFACES: dict[str, tuple[Callable[[Api], Any], Any]] = {
    "chat": (lambda api: plain(_chat()(api)), bodies.chat(SENT, "hello", {})),
    "chat stream": (lambda api: read(_chat(stream=True)(api)), bodies.chat_chunks(SENT, "hello you", {})),
    "chat helper": (lambda api: with_helper(_chat_stream(api), "get_final_completion"), bodies.chat_chunks(SENT, "hello you", {})),
    "chat helper left": (lambda api: left_early(_chat_stream(api)), bodies.chat_chunks(SENT, "hello you", {})),
    "chat left": (lambda api: left_early(_chat(stream=True)(api)), bodies.chat_chunks(SENT, "hello you", {})),
    "chat raw": (
        lambda api: raw(api.openai.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES)),
        bodies.chat(SENT, "hello", {}),
    ),
    "completion": (
        lambda api: read(api.openai.completions.create(model="m", prompt="x", stream=True)),
        bodies.completion_chunks(SENT, "hello", {}),
    ),
    "response": (lambda api: plain(api.openai.responses.create(model="m", input="x")), bodies.response(SENT, "hello", {})),
    "response helper": (
        lambda api: with_helper(api.openai.responses.stream(model="m", input="x"), "get_final_response"),
        bodies.response_events(SENT, "hello you", {}),
    ),
    "message": (lambda api: plain(_message()(api)), bodies.message(SENT, "hello", {})),
    "message stream": (lambda api: read(_message(stream=True)(api)), bodies.message_events(SENT, "hello you", {})),
    "message helper": (lambda api: with_helper(_message_stream(api), "get_final_message"), bodies.message_events(SENT, "hello you", {})),
    "message helper left": (lambda api: left_early(_message_stream(api)), bodies.message_events(SENT, "hello you", {})),
}  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value."""
    if at:
        yield at
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*at, key))


def spoiled(value: Any, rng: random.Random) -> Any:
    """The value with up to three places exchanged, emptied or removed."""
    value = copy.deepcopy(value)
    for _ in range(rng.randint(0, 3)):
        found = list(places(value))
        if not found:
            return value
        *path, last = rng.choice(found)
        inside = value
        for key in path:
            inside = inside[key]
        if rng.random() < 0.25:
            del inside[last]
        else:
            inside[last] = copy.deepcopy(rng.choice(JUNK))
    return value


def answer_with(api: Api, sound: Any, rng: random.Random) -> None:
    """Prepares one spoiled answer: a JSON body, or the events of a stream."""
    api.status, api.kind = 200, "application/json"
    if isinstance(sound, dict):
        body = json.dumps(spoiled(sound, rng)).encode()
        api.body = body[: rng.randrange(len(body) + 1)] if rng.random() < 0.1 else body
        api.status = rng.choice((200, 200, 200, 200, 200, 200, 201, 204, 400, 500))
        return
    api.kind = "text/event-stream"
    lines = []
    for event in sound:
        one = spoiled(event, rng)
        name = one.get("type") if isinstance(one, dict) else None
        text = json.dumps(one)
        named = f"event: {name}\n" if isinstance(name, str) and name.isascii() and name.isprintable() else ""
        lines.append(f"{named}data: {text[: len(text) // 2] if rng.random() < 0.02 else text}\n\n")
    if rng.random() < 0.1:
        rng.shuffle(lines)
    api.body = "".join([*lines, "data: [DONE]\n\n" if rng.random() < 0.9 else ""]).encode()


def outcome(call: Callable[[Api], Any], api: Api) -> Any:
    try:
        return call(api)
    except Exception as error:
        return type(error).__name__, str(error)


@pytest.mark.slow
@pytest.mark.parametrize("name", SURFACES)
def test_a_spoiled_answer_ends_a_traced_call_as_it_ends_an_untraced_one(name: str, bare_spans: Spans) -> None:
    call, sound = SURFACES[name]
    api, rng = Api(), random.Random(name)
    cases = []
    for _ in range(CASES):
        answer_with(api, sound, rng)
        cases.append((api.status, api.kind, api.body, outcome(call, api)))
    assert len({str(expected) for *_, expected in cases}) > CASES / 4
    evalspan.init(tracer_provider=bare_spans.provider, redact=True)
    gc.collect()
    gc.disable()
    try:
        for status, kind, body, expected in cases:
            api.status, api.kind, api.body = status, kind, body
            bare_spans.exporter.clear()
            assert outcome(call, api) == expected, body
            assert len(bare_spans.all()) == 1, body
    finally:
        gc.enable()
