"""Calls a surface in every way that an app can, and reads its result to the end: for the matrix and the faults."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
from pydantic import BaseModel

from ..scripted import ScriptedServer
from .surfaces import CHAT, MESSAGE, SCENARIOS, Scenario

__all__ = ["CHAT", "MESSAGE", "SCENARIOS", "Scenario", "client_of", "plain", "run", "run_async"]


def client_of(scenario: Scenario, server: ScriptedServer, *, asynchronous: bool = False, **options: Any) -> Any:
    """A real client of the scenario's SDK, talking to the scripted server."""
    server.options = dict(scenario.options)
    if scenario.answer is not None:
        answer = scenario.answer
        server.answer = lambda body: answer
    settings = {"api_key": "test", "max_retries": 0, **options}
    kind = client_class(scenario, asynchronous=asynchronous)
    match scenario.cloud:
        case "azure":
            return kind(azure_endpoint=server.root, api_version="2025-04-01", **settings)
        case "azure_deployment":
            named = {"azure_endpoint": server.root, "azure_deployment": "ours", "api_version": "2025-04-01"}
            return kind(**named, **settings)
        case "vertex":
            del settings["api_key"]
            return kind(base_url=server.url, region="us-east5", project_id="p", access_token="t", **settings)
        case "bedrock":
            del settings["api_key"]
            keys = {"aws_access_key": "k", "aws_secret_key": "s", "aws_region": "us-east-1"}
            return kind(base_url=server.root, **keys, **settings)
    return kind(base_url=server.url if scenario.sdk == "openai" else server.root, **settings)


def client_class(scenario: Scenario, *, asynchronous: bool) -> Any:
    """The class of a scenario's client."""
    if scenario.sdk == "openai":
        name = "AzureOpenAI" if scenario.cloud else "OpenAI"
        return getattr(openai, f"Async{name}" if asynchronous else name)
    name = f"Anthropic{scenario.cloud.capitalize()}"
    return getattr(anthropic, f"Async{name}" if asynchronous else name)


def plain(value: Any) -> Any:
    """A result in a form that two runs can be compared by."""
    if isinstance(value, BaseModel):
        return {"type": type(value).__qualname__, **value.model_dump(mode="json", warnings=False)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if type(value).__name__ == "HttpxBinaryResponseContent":
        return value.content
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
        return read(scenario, opened)


def read(scenario: Scenario, opened: Any) -> Any:
    """Reads what is open only inside its block."""
    match scenario.read:
        case "streaming":
            return plain(opened.parse())
        case "json":
            return opened.json()
        case "lines":
            return list(opened.iter_lines())
        case "pieces":
            return b"".join(opened.iter_bytes())
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
    if scenario.read in ("streaming", "json", "lines", "pieces", "chat_helper", "responses_helper", "message_helper"):
        async with started as opened:
            match scenario.read:
                case "streaming":
                    return plain(await opened.parse())
                case "json":
                    return await opened.json()
                case "lines":
                    return [line async for line in opened.iter_lines()]
                case "pieces":
                    return b"".join([piece async for piece in opened.iter_bytes()])
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
