"""Code as strangers write it: copied clients, answers sent back as questions, odd threads, odd callables, big pictures."""

from __future__ import annotations

import asyncio
import base64
import copy
import functools
import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import get_current_span
from websockets.sync.server import serve

import evalspan
from evalspan.instrument import semconv

from ..scripted import ScriptedServer
from .conftest import Spans
from .scenarios import CHAT, MESSAGE, SCENARIOS, client_of
from .schemas import check_messages

CHAT_CREATE = next(s for s in SCENARIOS if s.name == "chat.create")
MESSAGES_CREATE = next(s for s in SCENARIOS if s.name == "messages.create")


def test_an_answer_goes_back_as_the_object_it_came_as(server: ScriptedServer, spans: Spans) -> None:
    server.options = {"tool": True}
    client = client_of(CHAT_CREATE, server)
    server.options = {"tool": True}
    asked = client.chat.completions.create(**CHAT).choices[0].message
    server.options = {}
    answered = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}
    client.chat.completions.create(model="gpt", messages=[*CHAT["messages"], asked, answered])
    _, second = spans.all()
    check_messages(dict(second.attributes or {}))
    said = json.loads(str((second.attributes or {})[semconv.INPUT_MESSAGES]))
    assert [part["type"] for part in said[2]["parts"]] == ["tool_call"]
    assert server.requests[1].json["messages"][2]["tool_calls"][0]["id"] == "call_1"


def test_a_message_of_anthropic_goes_back_as_its_blocks(server: ScriptedServer, spans: Spans) -> None:
    client = client_of(MESSAGES_CREATE, server)
    blocks = client.messages.create(**MESSAGE).content
    history = [*MESSAGE["messages"], {"role": "assistant", "content": blocks}, {"role": "user", "content": "and Max?"}]
    client.messages.create(**{**MESSAGE, "messages": history})
    said = json.loads(str((spans.all()[1].attributes or {})[semconv.INPUT_MESSAGES]))
    assert said[1]["parts"][0]["content"] == "The Pro plan costs 20 euros a month."


def test_copies_of_a_client_are_traced_like_it(server: ScriptedServer, spans: Spans) -> None:
    client = client_of(CHAT_CREATE, server)
    for one in (client.with_options(timeout=5), client.copy(), copy.copy(client)):
        CHAT_CREATE.start(one)
    assert [span.name for span in spans.all()] == ["chat gpt-5-mini"] * 3


def test_a_class_of_the_apps_own_with_a_request_of_its_own_has_one_span(server: ScriptedServer, spans: Spans) -> None:
    class Counting(openai.OpenAI):
        calls = 0

        def request(self, *args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return super().request(*args, **kwargs)

    client = Counting(base_url=server.url, api_key="k")
    CHAT_CREATE.start(client)
    assert client.calls == 1
    assert len(spans.all()) == 1


def test_requests_made_without_the_resources_are_traced_too(server: ScriptedServer, spans: Spans) -> None:
    client = client_of(CHAT_CREATE, server)
    found = client.post("/chat/completions", cast_to=object, body={**CHAT, "unknown": [1]})
    assert found["id"] == "chatcmpl-1"
    client.post("/somewhere/else", cast_to=object, body=["a", "list"])
    assert spans.one().name == "chat gpt-5-mini"


def test_many_threads_each_have_their_own_span(server: ScriptedServer, spans: Spans) -> None:
    client = client_of(CHAT_CREATE, server)

    def ask(number: int) -> None:
        with evalspan.context(session=str(number)):
            for _ in client.chat.completions.create(**CHAT, stream=True):
                assert not get_current_span().get_span_context().is_valid

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(48)))
    sessions = [(span.attributes or {})[semconv.CONVERSATION_ID] for span in spans.all()]
    assert sorted(int(str(session)) for session in sessions) == list(range(48))


def test_the_context_reaches_timers_and_threads_with_a_run_of_their_own(spans: Spans) -> None:
    class Worker(threading.Thread):
        def run(self) -> None:
            with evalspan.span("in a worker"):
                pass

    def on_time() -> None:
        with evalspan.span("on time"):
            pass

    with evalspan.context(session="s"), evalspan.span("parent"):
        threads: list[threading.Thread] = [Worker(), threading.Timer(0.01, on_time)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all("run" not in vars(thread) for thread in threads)
    *inner, parent = spans.all()
    assert {span.name for span in inner} == {"in a worker", "on time"}
    assert {span.parent.span_id for span in inner if span.parent} == {parent.context.span_id}
    assert {(span.attributes or {})[semconv.CONVERSATION_ID] for span in inner} == {"s"}


@evalspan.observe
def doubled(x: int) -> int:
    return 2 * x


def test_observed_functions_are_pickled_bound_and_composed_like_any(spans: Spans) -> None:
    class Shop:
        @evalspan.observe
        def price(self, plan: str) -> str:
            return plan.upper()

        @classmethod
        @evalspan.observe
        def make(cls) -> Any:
            return cls()

        @staticmethod
        @evalspan.observe
        def twice(x: int) -> int:
            return 2 * x

        @property
        @evalspan.observe
        def name(self) -> str:
            return "shop"

    assert pickle.loads(pickle.dumps(doubled))(2) == 4
    shop = Shop.make()
    assert (shop.price("pro"), shop.twice(2), shop.name) == ("PRO", 4, "shop")
    assert evalspan.observe(name="partial")(functools.partial(doubled, 3))() == 6
    recorded = {span.name: (span.attributes or {}).get(semconv.INPUT_VALUE) for span in spans.all()}
    assert recorded["Shop.price"] == '{"plan":"pro"}'


def test_an_interrupt_goes_on_and_ends_the_span(server: ScriptedServer, spans: Spans, monkeypatch) -> None:
    client = client_of(CHAT_CREATE, server)

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(client._client, "send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        CHAT_CREATE.start(client)
    assert spans.attributes()[semconv.ERROR_TYPE] == "KeyboardInterrupt"


async def test_an_event_loop_that_runs_already_is_enough_as_in_a_notebook(server: ScriptedServer, spans: Spans) -> None:
    assert asyncio.get_running_loop().is_running()
    CHAT_CREATE.start(client_of(CHAT_CREATE, server))
    await CHAT_CREATE.start(client_of(CHAT_CREATE, server, asynchronous=True))
    assert len(spans.all()) == 2


def test_a_picture_of_megabytes_is_sent_whole_and_recorded_in_a_line(server: ScriptedServer, spans: Spans) -> None:
    picture = base64.b64encode(bytes(6_000_000)).decode()
    block = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}
    client_of(CHAT_CREATE, server).chat.completions.create(model="gpt", messages=[{"role": "user", "content": [block]}])
    assert len(server.requests[0].raw) > 8_000_000
    assert len(spans.attributes()[semconv.INPUT_MESSAGES]) < 400


def test_a_provider_with_small_limits_gets_whole_json_and_counts_what_it_drops(server: ScriptedServer) -> None:
    exporter = InMemorySpanExporter()
    limits = SpanLimits(max_span_attributes=12, max_span_attribute_length=2000)
    provider = TracerProvider(span_limits=limits, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    evalspan.init(tracer_provider=provider)
    try:
        history = [{"role": "user", "content": "x" * 900} for _ in range(9)]
        client_of(CHAT_CREATE, server).chat.completions.create(model="gpt", messages=history)  # type: ignore[arg-type]
    finally:
        evalspan.uninstrument()
    (span,) = exporter.get_finished_spans()
    found = dict(span.attributes or {})
    assert len(found) == 12
    assert span.dropped_attributes > 0
    for name in (semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES):
        if name in found:
            assert json.loads(str(found[name]))


def test_more_tags_than_a_span_holds_cost_tags_and_not_the_call(server: ScriptedServer) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(span_limits=SpanLimits(max_span_attributes=128), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    evalspan.init(tracer_provider=provider)
    try:
        with evalspan.context(tags={f"t{number}": number for number in range(150)}):
            evalspan.observe(kind="tool", name="look")(lambda: None)()
            CHAT_CREATE.start(client_of(CHAT_CREATE, server))
    finally:
        evalspan.uninstrument()
    tool, call = [dict(span.attributes or {}) for span in exporter.get_finished_spans()]
    assert (tool[semconv.OPERATION], tool[semconv.TOOL_NAME]) == ("execute_tool", "look")
    for name in (
        semconv.OPERATION,
        semconv.PROVIDER,
        semconv.INPUT_MESSAGES,
        semconv.OUTPUT_MESSAGES,
        "evalspan.tag.t149",
    ):
        assert name in call


def test_a_realtime_connection_is_a_websocket_that_passes_us_by(spans: Spans) -> None:
    def answer(connection: Any) -> None:
        heard = json.loads(connection.recv())
        connection.send(json.dumps({"type": "session.updated", "event_id": "e", "session": heard["session"]}))

    with serve(answer, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/v1"
        client = openai.OpenAI(api_key="k", websocket_base_url=address)
        with client.realtime.connect(model="gpt-realtime") as connection:
            connection.session.update(session={"type": "realtime", "instructions": "Be brief."})
            assert connection.recv().type == "session.updated"
        server.shutdown()
    assert spans.all() == []
