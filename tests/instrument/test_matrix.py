"""Surface by colour by ending: one span each, ended once, saying what happened."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

import evalspan
from evalspan.instrument import semconv

from .. import scripted_bodies as bodies
from .. import scripted_media as media
from ..scripted import Reply, ScriptedServer
from .conftest import Spans
from .scenarios import SCENARIOS, Scenario, client_of, run, run_async
from .schemas import check_messages

TRACED = [scenario for scenario in SCENARIOS if scenario.operation is not None]
UNTOUCHED = [scenario for scenario in SCENARIOS if scenario.operation is None]


def name_of(scenario: Scenario) -> str:
    return scenario.name.replace(" ", "_")


async def call(scenario: Scenario, client: Any, colour: str) -> Any:
    return run(scenario, client) if colour == "sync" else await run_async(scenario, client)


@pytest.mark.slow
@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("scenario", TRACED, ids=name_of)
async def test_every_surface_makes_one_complete_span(
    scenario: Scenario, colour: str, server: ScriptedServer, spans: Spans
) -> None:
    await call(scenario, client_of(scenario, server, asynchronous=colour == "async"), colour)
    span = spans.one()
    found = dict(span.attributes or {})
    assert found[semconv.OPERATION] == scenario.operation
    assert found[semconv.PROVIDER] == PROVIDERS.get(scenario.cloud, scenario.sdk)
    assert (found[semconv.SERVER_ADDRESS], found[semconv.SERVER_PORT]) == (
        "127.0.0.1",
        int(server.root[-5:].strip(":")),
    )
    assert span.status.is_unset
    assert semconv.ABANDONED not in found
    assert semconv.TRUNCATED not in found
    check_messages(found)
    assert (semconv.REQUEST_STREAM in found) == scenario.streams
    check_answer(scenario, found)


PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_deployment": "azure.ai.openai",
    "vertex": "gcp.vertex_ai",
    "bedrock": "aws.bedrock",
}
# What the app reads in pieces of its own, and what has no answer yet, has no output on its span.
SILENT = (
    "chat.create null choices",
    "chat.streaming_response lines",
    "responses.create background",
    "audio.speech streaming",
)


def check_answer(scenario: Scenario, found: dict[str, Any]) -> None:
    if scenario.name in SILENT or scenario.operation == "embeddings":
        assert semconv.OUTPUT_MESSAGES not in found
        return
    messages = json.loads(found[semconv.OUTPUT_MESSAGES])
    if scenario.name.startswith(("images", "audio.speech", "moderations")):
        check_media(scenario, found, messages)
        return
    parts = messages[0]["parts"]
    if scenario.options.get("tool"):
        assert parts[-1]["name"] == "get_weather"
        assert parts[-1]["arguments"] == json.loads(bodies.TOOL_ARGUMENTS)
        return
    texts = [part["content"] for part in parts if part["type"] == "text"]
    if scenario.options.get("refusal") and scenario.sdk == "openai":
        assert parts == [{"type": "refusal", "content": "I cannot help with that."}]
    else:
        assert texts == [scenario.answer or bodies.ANSWER]
    if scenario.options.get("thinking"):
        assert parts[0] == {"type": "reasoning", "content": "Prices first."}


def check_media(scenario: Scenario, found: dict[str, Any], messages: list[Any]) -> None:
    parts = messages[0]["parts"]
    assert len(parts) == (2 if scenario.name.endswith("n=2") else 1)
    if scenario.name == "moderations.create":
        assert parts == [{"type": "moderation", "flagged": True, "categories": ["violence"]}]
    elif scenario.name == "images.generate address":
        assert parts[0] == {"type": "uri", "modality": "image", "uri": "https://images.example/cat.png"}
    else:
        raw = media.MP3 if scenario.name == "audio.speech" else media.PNG
        assert (parts[0]["type"], parts[0]["byte_size"]) == ("blob", len(raw))
        assert parts[0]["sha256"] == hashlib.sha256(raw).hexdigest()
    if scenario.name.startswith("images") and "address" not in scenario.name:
        assert (found[semconv.INPUT_TOKENS], found[semconv.OUTPUT_TOKENS]) == (10, 20)


def test_what_is_embedded_moderated_spoken_and_drawn_is_recorded(server: ScriptedServer, spans: Spans) -> None:
    names = ["embeddings.create", "moderations.create", "audio.speech", "images.generate", "images.edit"]
    for name in names:
        scenario = next(s for s in SCENARIOS if s.name == name)
        run(scenario, client_of(scenario, server))
    said = [json.loads(str((span.attributes or {})[semconv.INPUT_MESSAGES])) for span in spans.all()]
    assert [[part["content"] for one in messages for part in one["parts"]] for messages in said] == [
        ["a", "b"],
        ["x"],
        ["Hello"],
        ["a cat"],
        ["a hat"],
    ]


WITHOUT_USAGE = ("chat stream no usage", "chat stream tools", "chat stream refusal", "chat.raw stream", "completions")


@pytest.mark.parametrize(
    "scenario", [s for s in TRACED if s.operation == "chat" and not s.name.startswith(WITHOUT_USAGE)], ids=name_of
)
def test_tokens_are_counted_as_the_conventions_count_them(
    scenario: Scenario, server: ScriptedServer, spans: Spans
) -> None:
    if scenario.name in ("chat.streaming_response lines", "responses.create background", "chat.stream helper"):
        run(scenario, client_of(scenario, server))
        assert semconv.INPUT_TOKENS not in spans.attributes()
        return
    run(scenario, client_of(scenario, server))
    found = spans.attributes()
    assert (found[semconv.INPUT_TOKENS], found[semconv.OUTPUT_TOKENS]) == (1234, 567)
    assert found[semconv.CACHED_TOKENS] == 321
    if scenario.sdk == "openai":
        assert found[semconv.REASONING_TOKENS] == 89
    else:
        assert found[semconv.CACHE_WRITE_TOKENS] == 45


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("scenario", TRACED, ids=name_of)
async def test_an_error_of_the_api_ends_the_span_as_an_error(
    scenario: Scenario, colour: str, server: ScriptedServer, spans: Spans
) -> None:
    server.then(Reply(status=401))
    client = client_of(scenario, server, asynchronous=colour == "async")
    with pytest.raises(Exception, match="scripted 401") as raised:
        await call(scenario, client, colour)
    assert type(raised.value).__name__ == "AuthenticationError"
    span = spans.one()
    assert not span.status.is_ok
    assert not span.status.is_unset
    assert (span.attributes or {})[semconv.ERROR_TYPE] == "AuthenticationError"


def sent(server: ScriptedServer) -> list[tuple[str, str, bytes, dict[str, str]]]:
    """What has arrived, without what is chance: the boundary between the parts of a form."""
    found = []
    for request in server.requests:
        boundary = re.search("boundary=(.*)", request.headers.get("content-type", ""))
        chance = boundary.group(1) if boundary else "no boundary"
        headers = {name: value.replace(chance, "") for name, value in request.headers.items()}
        found.append((request.method, request.path, request.raw.replace(chance.encode(), b""), headers))
    server.requests.clear()
    return found


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("scenario", UNTOUCHED, ids=name_of)
async def test_other_calls_pass_through_untouched(
    scenario: Scenario, colour: str, server: ScriptedServer, bare_spans: Spans
) -> None:
    client = client_of(scenario, server, asynchronous=colour == "async")
    expected = await call(scenario, client, colour), sent(server)
    evalspan.init(tracer_provider=bare_spans.provider)
    assert (await call(scenario, client, colour), sent(server)) == expected
    assert bare_spans.all() == []
    server.then(Reply(status=404))
    with pytest.raises(Exception, match="scripted 404"):
        await call(scenario, client, colour)
    assert bare_spans.all() == []


def test_iterator_messages_still_reach_the_api(server: ScriptedServer, spans: Spans) -> None:
    scenario = next(s for s in SCENARIOS if s.name == "chat.create iterator")
    run(scenario, client_of(scenario, server))
    assert len(server.requests[0].json["messages"]) == 2
    assert len(spans.content(semconv.INPUT_MESSAGES)) == 2


@pytest.mark.parametrize("scenario", [s for s in TRACED if s.name in ("chat.create", "messages.create")], ids=name_of)
def test_retries_are_one_span_that_counts_them(scenario: Scenario, server: ScriptedServer, spans: Spans) -> None:
    server.then(Reply(status=429, headers={"retry-after-ms": "1"}), Reply(status=500, headers={"retry-after-ms": "1"}))
    run(scenario, client_of(scenario, server, max_retries=3))
    assert spans.attributes()[semconv.RESEND_COUNT] == 2
    assert spans.one().status.is_unset
