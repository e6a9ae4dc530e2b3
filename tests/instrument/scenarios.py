"""Every surface of both SDKs, in every way of calling it: shared by the matrix and the fault injection."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anthropic
import openai
from pydantic import BaseModel

from ..scripted import ScriptedServer

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
WAV = base64.b64encode(b"RIFF" + bytes(40)).decode()


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
    options: dict[str, Any] = field(default_factory=dict)
    answer: str | None = None

    @property
    def streams(self) -> bool:
        return self.read in ("stream", "raw_stream", "lines", "chat_helper", "responses_helper", "message_helper")


def _openai() -> list[Scenario]:
    def chat(**more: Any) -> Callable[[Any], Any]:
        return lambda c: c.chat.completions.create(**CHAT, **more)

    def raw(**more: Any) -> Callable[[Any], Any]:
        return lambda c: c.chat.completions.with_raw_response.create(**CHAT, **more)

    def streaming(**more: Any) -> Callable[[Any], Any]:
        return lambda c: c.chat.completions.with_streaming_response.create(**CHAT, **more)

    audio = ("a.wav", b"RIFF" + bytes(40), "audio/wav")
    made: list[tuple[Any, ...]] = [
        ("chat.create", chat()),
        ("chat.create iterator", lambda c: c.chat.completions.create(**{**CHAT, "messages": iter(MESSAGES)})),
        ("chat.create tools", chat(tools=[TOOL]), "plain", "chat", {"tool": True}),
        ("chat.create refusal", chat(), "plain", "chat", {"refusal": True}),
        ("chat.create n=2", chat(n=2)),
        ("chat.create null choices", chat(), "plain", "chat", {"null_choices": True}),
        ("chat.parse", lambda c: c.chat.completions.parse(**CHAT, response_format=Price), "plain", "chat", {}, '{"euros": 20}'),
        ("chat.raw", raw(), "raw"),
        ("chat.raw stream", raw(stream=True), "raw_stream"),
        ("chat.streaming_response", streaming(), "streaming"),
        ("chat.streaming_response json", streaming(), "json"),
        ("chat.streaming_response lines", streaming(stream=True), "lines"),
        ("chat stream", chat(stream=True, **USAGE), "stream"),
        ("chat stream no usage", chat(stream=True), "stream"),
        ("chat stream tools", chat(stream=True, tools=[TOOL]), "stream", "chat", {"tool": True}),
        ("chat stream refusal", chat(stream=True), "stream", "chat", {"refusal": True}),
        ("chat.stream helper", lambda c: c.chat.completions.stream(**CHAT), "chat_helper"),
        ("responses.create", lambda c: c.responses.create(**RESPONSES)),
        ("responses.create tools", lambda c: c.responses.create(**RESPONSES, tools=[RESPONSES_TOOL]), "plain", "chat", {"tool": True}),
        ("responses.create background", lambda c: c.responses.create(**RESPONSES, background=True)),
        ("responses.retrieve", lambda c: c.responses.retrieve("resp_1"), "plain", "fetch_response"),
        ("responses.parse", lambda c: c.responses.parse(**RESPONSES, text_format=Price), "plain", "chat", {}, '{"euros": 20}'),
        ("responses stream", lambda c: c.responses.create(**RESPONSES, stream=True), "stream"),
        ("responses stream tools", lambda c: c.responses.create(**RESPONSES, stream=True), "stream", "chat", {"tool": True}),
        ("responses.stream helper", lambda c: c.responses.stream(**RESPONSES), "responses_helper"),
        ("completions.create", lambda c: c.completions.create(model="gpt-3.5-turbo-instruct", prompt="Say"), "plain", "text_completion"),
        ("completions stream", lambda c: c.completions.create(model="gpt-3.5-turbo-instruct", prompt="Say", stream=True), "stream", "text_completion"),
        ("embeddings.create", lambda c: c.embeddings.create(model="text-embedding-3-small", input=["a", "b"]), "plain", "embeddings"),
        ("images.generate", lambda c: c.images.generate(model="gpt-image-1", prompt="a cat"), "plain", "generate_content"),
        ("moderations.create", lambda c: c.moderations.create(model="omni-moderation-latest", input="x"), "plain", "moderate"),
        ("audio.transcriptions", lambda c: c.audio.transcriptions.create(model="gpt-4o-transcribe", file=audio), "plain", "generate_content"),
        ("audio.translations", lambda c: c.audio.translations.create(model="whisper-1", file=audio), "plain", "generate_content"),
        ("audio.speech", lambda c: c.audio.speech.create(model="tts-1", voice="alloy", input="Hello"), "bytes", "generate_content"),
        ("models.list", lambda c: c.models.list(), "page", None),
    ]  # fmt: skip
    return [Scenario(row[0], "openai", *row[1:]) for row in made]


def _anthropic() -> list[Scenario]:
    def create(**more: Any) -> Callable[[Any], Any]:
        return lambda c: c.messages.create(**MESSAGE, **more)

    batch = {"custom_id": "1", "params": MESSAGE}
    made: list[tuple[Any, ...]] = [
        ("messages.create", create()),
        ("messages.create tools", create(tools=[ANTHROPIC_TOOL]), "plain", "chat", {"tool": True}),
        ("messages.create refusal", create(), "plain", "chat", {"refusal": True}),
        ("messages.create thinking", create(), "plain", "chat", {"thinking": True}),
        ("messages.raw", lambda c: c.messages.with_raw_response.create(**MESSAGE), "raw"),
        ("messages.streaming_response", lambda c: c.messages.with_streaming_response.create(**MESSAGE), "streaming"),
        ("messages stream", create(stream=True), "stream"),
        ("messages stream tools", create(stream=True, tools=[ANTHROPIC_TOOL]), "stream", "chat", {"tool": True}),
        ("messages stream thinking", create(stream=True), "stream", "chat", {"thinking": True}),
        ("messages.stream helper", lambda c: c.messages.stream(**MESSAGE), "message_helper"),
        ("beta.messages.create", lambda c: c.beta.messages.create(**MESSAGE)),
        ("beta.messages stream", lambda c: c.beta.messages.create(**MESSAGE, stream=True), "stream"),
        ("messages.count_tokens", lambda c: c.messages.count_tokens(model="claude-sonnet-5", messages=MESSAGE["messages"]), "plain", None),
        ("messages.batches.create", lambda c: c.messages.batches.create(requests=[batch]), "plain", None),
    ]  # fmt: skip
    return [Scenario(row[0], "anthropic", *row[1:]) for row in made]


SCENARIOS = [*_openai(), *_anthropic()]


def client_of(scenario: Scenario, server: ScriptedServer, *, asynchronous: bool = False, **options: Any) -> Any:
    """A real client of the scenario's SDK, talking to the scripted server."""
    server.options = dict(scenario.options)
    if scenario.answer is not None:
        answer = scenario.answer
        server.answer = lambda body: answer
    settings = {"api_key": "test", "max_retries": 0, **options}
    if scenario.sdk == "openai":
        kind = openai.AsyncOpenAI if asynchronous else openai.OpenAI
        return kind(base_url=server.url, **settings)
    anthropic_kind = anthropic.AsyncAnthropic if asynchronous else anthropic.Anthropic
    return anthropic_kind(base_url=server.root, **settings)


def plain(value: Any) -> Any:
    """A result in a form that two runs can be compared by."""
    if isinstance(value, BaseModel):
        return {"type": type(value).__qualname__, **value.model_dump(mode="json", warnings=False)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def run(scenario: Scenario, client: Any) -> Any:
    """Calls the surface and reads its result to the end."""
    result = scenario.start(client)
    match scenario.read:
        case "plain" | "page":
            return plain(result)
        case "stream":
            return plain(list(result))
        case "raw":
            return plain(result.parse())
        case "raw_stream":
            return plain(list(result.parse()))
        case "bytes":
            return result.read()
    with result as opened:
        match scenario.read:
            case "streaming":
                return plain(opened.parse())
            case "json":
                return opened.json()
            case "lines":
                return list(opened.iter_lines())
            case "chat_helper":
                return [*(event.type for event in opened), plain(opened.get_final_completion())]
            case "responses_helper":
                return [*(event.type for event in opened), plain(opened.get_final_response())]
            case "message_helper":
                return [*opened.text_stream, plain(opened.get_final_message())]
    raise AssertionError(scenario.read)


async def run_async(scenario: Scenario, client: Any) -> Any:
    """The same with an asynchronous client."""
    started = scenario.start(client)
    if scenario.read in ("streaming", "json", "lines", "chat_helper", "responses_helper", "message_helper"):
        async with started as opened:
            match scenario.read:
                case "streaming":
                    return plain(await opened.parse())
                case "json":
                    return await opened.json()
                case "lines":
                    return [line async for line in opened.iter_lines()]
                case "chat_helper":
                    return [*[event.type async for event in opened], plain(await opened.get_final_completion())]
                case "responses_helper":
                    return [*[event.type async for event in opened], plain(await opened.get_final_response())]
            return [*[text async for text in opened.text_stream], plain(await opened.get_final_message())]
    result = await started
    match scenario.read:
        case "stream":
            return plain([event async for event in result])
        case "raw":
            parsed = result.parse()
            return plain(await parsed if hasattr(parsed, "__await__") else parsed)
        case "raw_stream":
            parsed = result.parse()
            return plain([event async for event in (await parsed if hasattr(parsed, "__await__") else parsed)])
        case "bytes":
            return result.read()
    return plain(result)
