"""Every surface of both SDKs, as data: how it is called, how its result is read, and what its span is."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import anthropic
import openai
from pydantic import BaseModel

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What does Pro cost?"}]
CHAT: dict[str, Any] = {"model": "gpt-5-mini", "messages": MESSAGES, "temperature": 0.25}
RESPONSES: dict[str, Any] = {"model": "gpt-5-mini", "instructions": "Be brief.", "input": "What does Pro cost?"}
MESSAGE: dict[str, Any] = {
    "model": "claude-sonnet-5",
    "max_tokens": 64,
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "What does Pro cost?"}],
}
USAGE = {"stream_options": {"include_usage": True}}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
RESPONSES_TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}
ANTHROPIC_TOOL = {"name": "get_weather", "description": "Weather", "input_schema": {"type": "object"}}
WAV = ("a.wav", b"RIFF" + bytes(40), "audio/wav")
PICTURE = ("cat.png", b"\x89PNG" + bytes(40), "image/png")
DATA_ADDRESS = "data:image/png;base64," + base64.b64encode(PICTURE[1]).decode()
STREAMED = ("stream", "raw_stream", "lines", "chat_helper", "responses_helper", "message_helper")


class Price(BaseModel):
    """What `parse` is asked to return."""

    euros: int


@dataclass(frozen=True)
class Scenario:
    """One way of calling one surface; `read` says how the result is consumed."""

    name: str
    sdk: str
    start: Callable[[Any], Any]
    read: str = "plain"
    operation: str | None = "chat"
    """What its span is; None for a call that is passed through untouched."""
    options: dict[str, Any] = field(default_factory=dict)
    answer: str | None = None
    cloud: str = ""
    """Whose client class is used instead of the SDK's own."""
    since: str = "0"
    """The first release of the SDK that has this surface."""

    @property
    def streams(self) -> bool:
        return self.read in STREAMED


def chat(way: Callable[[Any], Any] = lambda completions: completions, /, **more: Any) -> Callable[[Any], Any]:
    return lambda c: way(c.chat.completions).create(**CHAT, **more)


def helpers(c: Any) -> Any:
    """Where `parse` and `stream` are: older releases have them under beta."""
    return c.chat.completions if hasattr(c.chat.completions, "parse") else c.beta.chat.completions


def raw(resource: Any) -> Any:
    return resource.with_raw_response


def streaming(resource: Any) -> Any:
    return resource.with_streaming_response


PICTURE_MESSAGES = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": DATA_ADDRESS}},
            {"type": "image_url", "image_url": {"url": "https://images.example/cat.png"}},
            {"type": "input_audio", "input_audio": {"data": base64.b64encode(WAV[1]).decode(), "format": "wav"}},
            {"type": "file", "file": {"file_id": "file_1"}},
        ],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_0", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "call_0", "content": "a cat"},
]
PICTURE_ITEMS = [
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "What is this?"},
            {"type": "input_image", "image_url": DATA_ADDRESS, "detail": "auto"},
            {"type": "input_file", "file_id": "file_1"},
        ],
    },
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Look first."}]},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "cat"}},
    {"type": "function_call", "call_id": "call_0", "name": "look", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_0", "output": "a cat"},
    {"type": "item_reference", "id": "msg_0"},
]
PICTURE_BLOCKS = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA_ADDRESS[22:]}},
            {"type": "image", "source": {"type": "url", "url": "https://images.example/cat.png"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "A cat."}},
        ],
    },
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Look first.", "signature": "sig"},
            {"type": "redacted_thinking", "data": "xx"},
            {"type": "server_tool_use", "id": "srv_0", "name": "web_search", "input": {"query": "cat"}},
            {"type": "web_search_tool_result", "tool_use_id": "srv_0", "content": []},
            {"type": "tool_use", "id": "toolu_0", "name": "look", "input": {}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "toolu_0", "content": [{"type": "text", "text": "a cat"}]},
        ],
    },
]

CHAT_ROWS: list[tuple[Any, ...]] = [
    ("chat.create", chat()),
    ("chat.create iterator", lambda c: c.chat.completions.create(**{**CHAT, "messages": iter(MESSAGES)})),
    ("chat.create multimodal", lambda c: c.chat.completions.create(**{**CHAT, "messages": PICTURE_MESSAGES})),
    ("chat.create tools", chat(tools=[TOOL]), "plain", "chat", {"tool": True}),
    ("chat.create refusal", chat(), "plain", "chat", {"refusal": True}),
    ("chat.create n=2", chat(n=2)),
    ("chat.create null choices", chat(), "plain", "chat", {"null_choices": True}),
    ("chat.parse", lambda c: helpers(c).parse(**CHAT, response_format=Price), "plain", "chat", {}, '{"euros": 20}'),
    ("chat.raw", chat(raw), "raw"),
    ("chat.raw stream", chat(raw, stream=True), "raw_stream"),
    ("chat.streaming_response", chat(streaming), "streaming"),
    ("chat.streaming_response json", chat(streaming), "json"),
    ("chat.streaming_response lines", chat(streaming, stream=True), "lines"),
    ("chat stream", chat(stream=True, **USAGE), "stream"),
    ("chat stream no usage", chat(stream=True), "stream"),
    ("chat stream tools", chat(stream=True, tools=[TOOL]), "stream", "chat", {"tool": True}),
    ("chat stream refusal", chat(stream=True), "stream", "chat", {"refusal": True}),
    ("chat.stream helper", lambda c: helpers(c).stream(**CHAT), "chat_helper"),
    ("responses.create", lambda c: c.responses.create(**RESPONSES)),
    ("responses.create multimodal", lambda c: c.responses.create(**{**RESPONSES, "input": PICTURE_ITEMS})),
    ("responses.create tools", lambda c: c.responses.create(**RESPONSES, tools=[RESPONSES_TOOL]), "plain", "chat", {"tool": True}),
    ("responses.create refusal", lambda c: c.responses.create(**RESPONSES), "plain", "chat", {"refusal": True}),
    ("responses.retrieve", lambda c: c.responses.retrieve("resp_1"), "plain", "fetch_response"),
    ("responses stream", lambda c: c.responses.create(**RESPONSES, stream=True), "stream"),
    ("responses stream tools", lambda c: c.responses.create(**RESPONSES, stream=True), "stream", "chat", {"tool": True}),
    ("completions.create", lambda c: c.completions.create(model="gpt-3.5-turbo-instruct", prompt="Say"), "plain", "text_completion"),
    ("completions stream", lambda c: c.completions.create(model="gpt-3.5-turbo-instruct", prompt="Say", stream=True), "stream", "text_completion"),
]  # fmt: skip
LATER_ROWS: list[tuple[str, str, Callable[[Any], Any], str, str, str | None]] = [
    ("1.79", "responses.create background", lambda c: c.responses.create(**RESPONSES, background=True), "plain", "chat", None),
    ("1.86", "responses.retrieve stream", lambda c: c.responses.retrieve("resp_1", stream=True), "stream", "fetch_response", None),
    ("1.70", "responses.parse", lambda c: c.responses.parse(**RESPONSES, text_format=Price), "plain", "chat", '{"euros": 20}'),
    ("1.70", "responses.stream helper", lambda c: c.responses.stream(**RESPONSES), "responses_helper", "chat", None),
    ("3.50", "beta.responses.create", lambda c: c.beta.responses.create(**RESPONSES), "plain", "chat", None),
    ("1.70", "audio.transcriptions stream", lambda c: c.audio.transcriptions.create(model="gpt-4o-transcribe", file=WAV, stream=True), "stream", "generate_content", None),
    ("1.98", "images.generate stream", lambda c: c.images.generate(model="gpt-image-1", prompt="a cat", stream=True, partial_images=2), "stream", "generate_content", None),
    ("1.98", "images.edit stream", lambda c: c.images.edit(model="gpt-image-1", image=PICTURE, prompt="a hat", stream=True), "stream", "generate_content", None),
]  # fmt: skip
SPEECH: dict[str, Any] = {"model": "tts-1", "voice": "alloy", "input": "Hello"}
MEDIA_ROWS: list[tuple[Any, ...]] = [
    ("embeddings.create", lambda c: c.embeddings.create(model="text-embedding-3-small", input=["a", "b"]), "plain", "embeddings"),
    ("images.generate", lambda c: c.images.generate(model="gpt-image-1", prompt="a cat"), "plain", "generate_content"),
    ("images.generate n=2", lambda c: c.images.generate(model="gpt-image-1", prompt="a cat", n=2), "plain", "generate_content"),
    ("images.generate address", lambda c: c.images.generate(model="dall-e-3", prompt="a cat"), "plain", "generate_content", {"by_address": True}),
    ("images.edit", lambda c: c.images.edit(model="gpt-image-1", image=PICTURE, prompt="a hat"), "plain", "generate_content"),
    ("images.create_variation", lambda c: c.images.create_variation(model="dall-e-2", image=PICTURE), "plain", "generate_content"),
    ("moderations.create", lambda c: c.moderations.create(model="omni-moderation-latest", input="x"), "plain", "moderate"),
    ("audio.transcriptions", lambda c: c.audio.transcriptions.create(model="gpt-4o-transcribe", file=WAV), "plain", "generate_content"),
    ("audio.transcriptions text", lambda c: c.audio.transcriptions.create(model="whisper-1", file=WAV, response_format="text"), "plain", "generate_content"),
    ("audio.translations", lambda c: c.audio.translations.create(model="whisper-1", file=WAV), "plain", "generate_content"),
    ("audio.speech", lambda c: c.audio.speech.create(**SPEECH), "bytes", "generate_content"),
    ("audio.speech streaming", lambda c: c.audio.speech.with_streaming_response.create(**SPEECH), "pieces", "generate_content"),
]  # fmt: skip
UNTOUCHED_ROWS: list[tuple[str, str, Callable[[Any], Any]]] = [
    ("0", "models.list", lambda c: c.models.list()),
    ("0", "files.create", lambda c: c.files.create(file=("a.jsonl", b"{}"), purpose="batch")),
    ("0", "files.content", lambda c: c.files.content("file_1")),
    ("0", "files.delete", lambda c: c.files.delete("file_1")),
    ("0", "batches.create", lambda c: c.batches.create(input_file_id="file_1", endpoint="/v1/responses", completion_window="24h")),
    ("0", "fine_tuning.jobs.create", lambda c: c.fine_tuning.jobs.create(model="gpt-5-mini", training_file="file_1")),
    ("0", "beta.assistants.create", lambda c: c.beta.assistants.create(model="gpt-5-mini")),
    ("0", "beta.threads.create", lambda c: c.beta.threads.create()),
    ("0", "beta.threads.runs.create", lambda c: c.beta.threads.runs.create("thread_1", assistant_id="asst_1")),
    ("0", "responses.delete", lambda c: c.responses.delete("resp_1")),
    ("0", "responses.input_items.list", lambda c: c.responses.input_items.list("resp_1")),
    ("1.98", "chat.completions.retrieve", lambda c: c.chat.completions.retrieve("chatcmpl-1")),
    ("3.50", "responses.compact", lambda c: c.responses.compact(model="gpt-5-mini", input="x")),
    ("3.50", "responses.input_tokens.count", lambda c: c.responses.input_tokens.count(model="gpt-5-mini", input="x")),
    ("3.50", "vector_stores.create", lambda c: c.vector_stores.create(name="docs")),
    ("3.50", "conversations.create", lambda c: c.conversations.create()),
    ("3.50", "realtime.client_secrets.create", lambda c: c.realtime.client_secrets.create()),
    ("3.50", "videos.retrieve", lambda c: c.videos.retrieve("video_1")),
]  # fmt: skip


def message(way: Callable[[Any], Any] = lambda messages: messages, /, **more: Any) -> Callable[[Any], Any]:
    return lambda c: way(c.messages).create(**MESSAGE, **more)


BATCH = {"custom_id": "1", "params": MESSAGE}
COUNT = {"model": "claude-sonnet-5", "messages": MESSAGE["messages"]}
ANTHROPIC_ROWS: list[tuple[Any, ...]] = [
    ("messages.create", message()),
    ("messages.create iterator", lambda c: c.messages.create(**{**MESSAGE, "messages": iter(MESSAGE["messages"])})),
    ("messages.create multimodal", lambda c: c.messages.create(**{**MESSAGE, "messages": PICTURE_BLOCKS})),
    ("messages.create tools", message(tools=[ANTHROPIC_TOOL]), "plain", "chat", {"tool": True}),
    ("messages.create refusal", message(), "plain", "chat", {"refusal": True}),
    ("messages.create thinking", message(), "plain", "chat", {"thinking": True}),
    ("messages.raw", message(raw), "raw"),
    ("messages.raw stream", message(raw, stream=True), "raw_stream"),
    ("messages.streaming_response", message(streaming), "streaming"),
    ("messages stream", message(stream=True), "stream"),
    ("messages stream tools", message(stream=True, tools=[ANTHROPIC_TOOL]), "stream", "chat", {"tool": True}),
    ("messages stream thinking", message(stream=True), "stream", "chat", {"thinking": True}),
    ("messages.stream helper", lambda c: c.messages.stream(**MESSAGE), "message_helper"),
    ("beta.messages.create", lambda c: c.beta.messages.create(**MESSAGE)),
    ("beta.messages stream", lambda c: c.beta.messages.create(**MESSAGE, stream=True), "stream"),
    ("messages.count_tokens", lambda c: c.messages.count_tokens(**COUNT), "plain", None),
    ("beta.messages.count_tokens", lambda c: c.beta.messages.count_tokens(**COUNT), "plain", None),
    ("messages.batches.create", lambda c: c.messages.batches.create(requests=[BATCH]), "plain", None),
    ("messages.batches.list", lambda c: c.messages.batches.list(), "page", None),
    ("beta.messages.batches.create", lambda c: c.beta.messages.batches.create(requests=[BATCH]), "plain", None),
    ("models.list", lambda c: c.models.list(), "page", None),
]
# The same surfaces by the client classes of the clouds, some of which copied the methods before anyone could wrap them.
AZURE_ROWS = [row for row in CHAT_ROWS + MEDIA_ROWS if row[0] in ("chat.create", "chat stream", "embeddings.create")]
CLOUD_ROWS: list[tuple[Any, ...]] = [
    ("messages.create", message()),
    ("messages stream", message(stream=True), "stream"),
    ("messages.stream helper", lambda c: c.messages.stream(**MESSAGE), "message_helper"),
    ("beta.messages.create", lambda c: c.beta.messages.create(**MESSAGE)),
    ("beta.messages stream", lambda c: c.beta.messages.create(**MESSAGE, stream=True), "stream"),
]


def _all() -> list[Scenario]:
    made = [Scenario(row[0], "openai", *row[1:]) for row in CHAT_ROWS + MEDIA_ROWS]
    made += [
        Scenario(name, "openai", start, read, operation, {}, answer, since=since)
        for since, name, start, read, operation, answer in LATER_ROWS
    ]
    made += [
        Scenario(name, "openai", start, "page" if name.endswith("list") else "plain", None, since=since)
        for since, name, start in UNTOUCHED_ROWS
    ]
    for cloud in ("azure", "azure_deployment"):
        made += [
            replace(Scenario(row[0], "openai", *row[1:]), name=f"{cloud} {row[0]}", cloud=cloud) for row in AZURE_ROWS
        ]
    made += [Scenario(row[0], "anthropic", *row[1:]) for row in ANTHROPIC_ROWS]
    for cloud, since in (("vertex", "0"), ("bedrock", "0"), ("foundry", "2.10")):
        rows = [Scenario(row[0], "anthropic", *row[1:]) for row in CLOUD_ROWS]
        made += [replace(row, name=f"{cloud} {row.name}", cloud=cloud, since=since) for row in rows]
    return made


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


INSTALLED = {"openai": _release(openai.__version__), "anthropic": _release(anthropic.__version__)}
SCENARIOS = [scenario for scenario in _all() if INSTALLED[scenario.sdk] >= _release(scenario.since)]
