"""Streams end in many ways; the span ends once in each, when it should, with what had arrived."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import threading
from typing import Any

import anthropic
import openai
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import get_current_span

from evalspan.instrument import semconv

from ..scripted import Reply, ScriptedServer
from .conftest import Spans
from .scenarios import CHAT, MESSAGE, SCENARIOS, Scenario, client_of, run
from .surfaces import helpers

STREAMS = [s for s in SCENARIOS if s.name in ("chat stream", "responses stream", "messages stream")]
PARAMETERS = pytest.mark.parametrize("scenario", STREAMS, ids=lambda s: s.sdk + "-" + s.name.split()[0])


def said(span: ReadableSpan) -> str:
    """The text that the span recorded as output."""
    messages = json.loads(str((span.attributes or {})[semconv.OUTPUT_MESSAGES]))
    return "".join(part["content"] for part in messages[0]["parts"])


def read_some(stream: Any) -> None:
    """Reads on until some text has arrived."""
    for _ in range(7):
        next(stream)


def check_abandoned(span: ReadableSpan) -> None:
    found = span.attributes or {}
    assert found[semconv.ABANDONED] is True
    assert span.status.is_unset
    assert found[semconv.FINISH_REASONS] == ("error",)
    assert said(span).startswith("The Pro")
    assert not said(span).endswith("month.")
    assert float(str(found[semconv.TIME_TO_FIRST_CHUNK])) > 0


@pytest.mark.slow
@PARAMETERS
def test_a_stream_that_is_closed_early_ends_its_span_at_the_close(scenario: Scenario, server, spans: Spans) -> None:
    stream = scenario.start(client_of(scenario, server))
    read_some(stream)
    assert spans.all() == []
    stream.close()
    check_abandoned(spans.one())
    del stream
    gc.collect()
    assert len(spans.all()) == 1


@PARAMETERS
def test_leaving_the_with_block_ends_the_span(scenario: Scenario, server, spans: Spans) -> None:
    with scenario.start(client_of(scenario, server)) as stream:
        read_some(stream)
    check_abandoned(spans.one())


MEDIA_STREAMS = [s for s in SCENARIOS if s.name in ("audio.transcriptions stream", "images.generate stream")]


@pytest.mark.parametrize("scenario", MEDIA_STREAMS, ids=lambda s: s.name.split(".")[0])
def test_media_that_is_let_go_half_way_is_recorded_as_far_as_it_came(scenario, server, spans: Spans) -> None:
    stream = scenario.start(client_of(scenario, server))
    next(stream)
    next(stream)
    stream.close()
    found = spans.attributes()
    (part,) = spans.content(semconv.OUTPUT_MESSAGES)[0]["parts"]
    assert (found[semconv.ABANDONED], found[semconv.FINISH_REASONS]) == (True, ("error",))
    assert part.get("content") == "The Pro " if scenario.name.startswith("audio") else part["byte_size"] == 21


@PARAMETERS
def test_an_exception_of_the_apps_own_ends_the_span_as_abandoned(scenario: Scenario, server, spans: Spans) -> None:
    def consume() -> None:
        with scenario.start(client_of(scenario, server)) as stream:
            read_some(stream)
            raise KeyError("the app's own")

    with pytest.raises(KeyError):
        consume()
    check_abandoned(spans.one())


@PARAMETERS
def test_a_stream_that_is_dropped_ends_its_span_when_it_is_collected(scenario: Scenario, server, spans: Spans) -> None:
    stream = scenario.start(client_of(scenario, server))
    read_some(stream)
    del stream
    gc.collect()
    check_abandoned(spans.one())


@PARAMETERS
def test_a_stream_that_nobody_reads_still_ends_its_span(scenario: Scenario, server, spans: Spans) -> None:
    stream = scenario.start(client_of(scenario, server))
    del stream
    gc.collect()
    assert spans.attributes()[semconv.ABANDONED] is True


@PARAMETERS
def test_a_connection_that_breaks_ends_the_span_as_an_error_with_what_arrived(scenario, server, spans: Spans) -> None:
    server.then(Reply(cut_after=7))
    with pytest.raises(Exception):  # noqa: B017 - each SDK has its own
        run(scenario, client_of(scenario, server))
    span = spans.one()
    assert not span.status.is_unset
    assert semconv.ERROR_TYPE in (span.attributes or {})
    assert said(span).startswith("The Pro")


@PARAMETERS
async def test_an_async_stream_that_is_cancelled_ends_its_span(scenario: Scenario, server, spans: Spans) -> None:
    server.then(Reply(gap_s=0.3))
    client = client_of(scenario, server, asynchronous=True)

    async def consume() -> None:
        async for _ in await scenario.start(client):
            pass

    task = asyncio.create_task(consume())
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert spans.attributes()[semconv.ERROR_TYPE] == "CancelledError"


@PARAMETERS
async def test_a_cancelled_call_ends_its_span(scenario: Scenario, server, spans: Spans) -> None:
    server.then(Reply(delay_s=1))
    task = asyncio.create_task(scenario.start(client_of(scenario, server, asynchronous=True)))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert spans.attributes()[semconv.ERROR_TYPE] == "CancelledError"


@PARAMETERS
async def test_an_async_stream_that_is_closed_or_left_ends_its_span(scenario: Scenario, server, spans: Spans) -> None:
    async with await scenario.start(client_of(scenario, server, asynchronous=True)) as stream:
        count = 0
        async for _ in stream:
            count += 1
            if count == 7:
                break
    check_abandoned(spans.one())


@pytest.mark.slow
@PARAMETERS
async def test_an_async_stream_that_is_dropped_ends_its_span(scenario: Scenario, server, spans: Spans) -> None:
    stream = await scenario.start(client_of(scenario, server, asynchronous=True))
    for _ in range(7):
        await stream.__anext__()
    del stream
    gc.collect()
    await asyncio.sleep(0.05)
    check_abandoned(spans.one())


@pytest.mark.slow
@PARAMETERS
def test_a_stream_read_in_another_thread_is_whole(scenario: Scenario, server, spans: Spans) -> None:
    stream = scenario.start(client_of(scenario, server))
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    reader.join()
    assert said(spans.one()).endswith("month.")


@PARAMETERS
def test_nothing_of_ours_is_current_while_the_app_reads(scenario: Scenario, server, spans: Spans) -> None:
    before = get_current_span()
    for _ in scenario.start(client_of(scenario, server)):
        assert get_current_span() is before
    assert get_current_span() is before


def test_the_app_gets_the_sdks_own_stream_objects(server: ScriptedServer, spans: Spans) -> None:
    chat, message = STREAMS[0], STREAMS[2]
    streams = [chat.start(client_of(chat, server)), message.start(client_of(message, server))]
    assert [type(stream) for stream in streams] == [openai.Stream, anthropic.Stream]
    for stream in streams:
        stream.close()


def test_a_raw_response_that_is_never_parsed_still_has_its_answer(server: ScriptedServer, spans: Spans) -> None:
    scenario = next(s for s in SCENARIOS if s.name == "chat.raw")
    raw = scenario.start(client_of(scenario, server))
    assert said(spans.one()).endswith("month.")
    assert raw.parse().choices[0].message.content.endswith("month.")
    assert len(spans.all()) == 1


def test_streaming_does_not_change_the_request(server: ScriptedServer, spans: Spans) -> None:
    chat, message = STREAMS[0], STREAMS[2]
    list(chat.start(client_of(chat, server)))
    list(message.start(client_of(message, server)))
    assert server.requests[0].json == {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    assert server.requests[1].json == {**MESSAGE, "stream": True}


HELPERS: dict[str, Any] = {
    "chat": lambda client: helpers(client).stream(**CHAT),
    "responses": lambda client: client.responses.stream(model="gpt", input="How much?"),
    "messages": lambda client: client.messages.stream(**MESSAGE),
}
BY_HELPER = pytest.mark.parametrize("scenario", STREAMS, ids=lambda s: s.name.split()[0])


def helper_of(scenario: Scenario) -> Any:
    return HELPERS[scenario.name.split()[0]]


@pytest.mark.slow
@BY_HELPER
def test_leaving_the_block_of_a_helper_ends_the_span_while_the_app_still_holds_the_stream(
    scenario: Scenario, server, spans: Spans
) -> None:
    """The helpers hold on to themselves: without this the span would end whenever cycles are collected, or never."""
    client = client_of(scenario, server)
    gc.disable()
    try:
        with helper_of(scenario)(client) as stream:
            for _ in range(9):
                next(iter(stream))
            assert spans.all() == []
        assert (spans.one().attributes or {})[semconv.ABANDONED] is True
        with contextlib.suppress(KeyError), helper_of(scenario)(client) as other:
            for _ in other:
                raise KeyError("of the app")
        assert len(spans.all()) == 2
        with helper_of(scenario)(client) as untouched:
            pass
        assert len(spans.all()) == 3
        del stream, other, untouched
    finally:
        gc.enable()
    gc.collect()
    assert len(spans.all()) == 3


@BY_HELPER
async def test_leaving_the_block_of_an_asynchronous_helper_ends_the_span(
    scenario: Scenario, server, spans: Spans
) -> None:
    client = client_of(scenario, server, asynchronous=True)
    gc.disable()
    try:
        async with helper_of(scenario)(client) as stream:
            async for _ in stream:
                break
            assert spans.all() == []
        assert (spans.one().attributes or {})[semconv.ABANDONED] is True
        assert stream is not None
    finally:
        gc.enable()


@BY_HELPER
def test_a_helper_that_is_read_to_its_end_is_not_abandoned(scenario: Scenario, server, spans: Spans) -> None:
    with helper_of(scenario)(client_of(scenario, server)) as stream:
        for _ in stream:
            pass
    assert semconv.ABANDONED not in (spans.one().attributes or {})
    assert said(spans.one()).endswith("month.")


@PARAMETERS
def test_closing_the_response_under_a_stream_ends_the_span(scenario: Scenario, server, spans: Spans) -> None:
    stream = scenario.start(client_of(scenario, server))
    read_some(stream)
    stream.response.close()
    check_abandoned(spans.one())


def test_a_raw_response_whose_body_is_broken_has_its_span(server: ScriptedServer, spans: Spans) -> None:
    server.then(Reply(body=b'{"id": "chatcmpl-1", "choices": [{', headers={"content-type": "application/json"}))
    client = client_of(next(s for s in SCENARIOS if s.name == "chat.create"), server)
    raw = client.chat.completions.with_raw_response.create(**CHAT)
    assert semconv.OUTPUT_MESSAGES not in (spans.one().attributes or {})
    with pytest.raises(json.JSONDecodeError):
        raw.parse()
