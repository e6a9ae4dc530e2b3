"""The app's own spans, the context that belongs to them, and scores: `observe`, `span`, `context`, `score`, `suppress`."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry import propagate
from opentelemetry.context import attach, detach
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.trace import get_current_span

import evalspan
from evalspan.errors import UsageError
from evalspan.instrument import semconv

from ..scripted import ScriptedServer
from .conftest import Spans
from .scenarios import SCENARIOS, client_of

CHAT_CREATE = next(s for s in SCENARIOS if s.name == "chat.create")


def value(spans: Spans, name: str) -> Any:
    return json.loads(spans.attributes()[name])


def test_a_tool_records_its_arguments_and_result(spans: Spans) -> None:
    @evalspan.observe(kind="tool")
    def weather(city: str, days: int = 1) -> dict[str, Any]:
        """Weather."""
        return {"city": city, "days": days}

    assert weather("Lisbon", days=3) == {"city": "Lisbon", "days": 3}
    assert (weather.__name__, weather.__doc__) == ("weather", "Weather.")
    assert spans.one().name == "execute_tool weather"
    assert value(spans, semconv.TOOL_ARGUMENTS) == {"city": "Lisbon", "days": 3}
    assert value(spans, semconv.TOOL_RESULT) == {"city": "Lisbon", "days": 3}


def test_what_a_tool_takes_by_any_name_is_an_argument_of_its_own(spans: Spans) -> None:
    @evalspan.observe(kind="tool")
    def any_tool(first: int, **more: Any) -> None:
        return None

    any_tool(1, city="Lisbon")
    assert value(spans, semconv.TOOL_ARGUMENTS) == {"first": 1, "city": "Lisbon"}


def test_a_retriever_records_its_query_and_documents(spans: Spans) -> None:
    @evalspan.observe("docs", kind="retriever")
    def search(query: str, top_k: int) -> list[Any]:
        return ["plain", ("scored", 0.5), {"id": "d7", "content": "full", "score": 0.25}]

    search("price of Pro", top_k=3)
    found = spans.attributes()
    assert spans.one().name == "retrieval docs"
    assert (found[semconv.RETRIEVAL_QUERY], found[semconv.RETRIEVAL_TOP_K]) == ("price of Pro", 3)
    assert value(spans, semconv.RETRIEVAL_DOCUMENTS) == [
        {"id": "0", "content": "plain"},
        {"id": "1", "content": "scored", "score": 0.5},
        {"id": "d7", "content": "full", "score": 0.25},
    ]


@pytest.mark.parametrize(
    ("kind", "name"), [("agent", "invoke_agent f"), ("workflow", "invoke_workflow f"), ("span", "f")]
)
def test_kinds_name_their_spans_as_the_conventions_do(kind: str, name: str, spans: Spans) -> None:
    evalspan.observe(name="f", kind=kind)(lambda: None)()
    assert spans.one().name == name


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="kind='toll'"):
        evalspan.observe(kind="toll")


async def test_coroutines_and_their_children_are_one_trace(server: ScriptedServer, spans: Spans) -> None:
    @evalspan.observe
    async def answer(question: str) -> str:
        client = client_of(CHAT_CREATE, server, asynchronous=True)
        await asyncio.gather(*(CHAT_CREATE.start(client) for _ in range(3)))
        return question.upper()

    assert await answer("why?") == "WHY?"
    *children, parent = spans.all()
    assert parent.name == "answer"
    assert {child.parent.span_id for child in children if child.parent} == {parent.context.span_id}
    assert len(children) == 3


def test_a_generator_ends_its_span_when_it_ends_and_is_not_current_outside(spans: Spans) -> None:
    inside = []

    @evalspan.observe
    def words() -> Iterator[str]:
        for word in ("a", "b"):
            inside.append(get_current_span().get_span_context().is_valid)
            yield word

    outside = []
    for _ in words():
        outside.append(get_current_span().get_span_context().is_valid)
        assert spans.all() == []
    assert (inside, outside) == ([True, True], [False, False])
    assert value(spans, semconv.OUTPUT_VALUE) == "ab"


def test_a_generator_can_be_sent_to_thrown_into_and_closed(spans: Spans) -> None:
    @evalspan.observe
    def echo() -> Iterator[Any]:
        got = None
        while True:
            try:
                got = yield got
            except KeyError:
                got = "caught"

    assert inspect.isgeneratorfunction(echo)
    generator: Any = echo()
    assert next(generator) is None
    assert generator.send(1) == 1
    assert generator.throw(KeyError()) == "caught"
    generator.close()
    assert spans.one().status.is_unset


async def test_an_async_generator_ends_its_span_too(spans: Spans) -> None:
    @evalspan.observe
    async def numbers() -> AsyncIterator[int]:
        yield 1
        yield 2

    assert [number async for number in numbers()] == [1, 2]
    assert inspect.isasyncgenfunction(numbers)
    assert value(spans, semconv.OUTPUT_VALUE) == [1, 2]


def test_an_exception_goes_on_and_is_on_the_span(spans: Spans) -> None:
    @evalspan.observe
    def fail() -> None:
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        fail()
    span = spans.one()
    assert (span.attributes or {})[semconv.ERROR_TYPE] == "ValueError"
    assert span.status.description == "bad"


def test_whatever_the_arguments_are_the_function_runs(spans: Spans) -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    @dataclass
    class Fine:
        n: int

    @evalspan.observe
    def take(*args: Any) -> int:
        return len(args)

    assert take(Odd(), {1: 2}, {Fine(1).n}, b"\xff", float("nan"), [Odd()]) == 6
    assert len(spans.all()) == 1
    take_fine = evalspan.observe(name="fine")(lambda x: x)
    take_fine(Fine(3))
    assert json.loads(str((spans.all()[1].attributes or {})[semconv.OUTPUT_VALUE])) == {"n": 3}


def test_content_of_own_spans_follows_the_policy(bare_spans: Spans) -> None:
    evalspan.init(tracer_provider=bare_spans.provider, capture_content=False)
    evalspan.observe(kind="tool", name="t")(lambda q: q)("secret")
    assert "secret" not in str(bare_spans.attributes())


def test_the_context_is_on_every_span_inside_and_none_outside(server: ScriptedServer, spans: Spans) -> None:
    client = client_of(CHAT_CREATE, server)
    with evalspan.context(session="s1", user="u1", prompt=("support", "v3"), tags={"plan": "pro", "n": 2}):
        with evalspan.context(user="u2", tags={"plan": "max"}), evalspan.span("step", **{"app.x": 1}):
            CHAT_CREATE.start(client)
        spans.provider.get_tracer("someone.else").start_span("theirs").end()
    CHAT_CREATE.start(client)
    call, step, theirs, after = [dict(span.attributes or {}) for span in spans.all()]
    for found in (call, step):
        assert found[semconv.CONVERSATION_ID] == "s1"
        assert found[semconv.USER_ID] == "u2"
        assert (found[semconv.PROMPT_NAME], found[semconv.PROMPT_VERSION]) == ("support", "v3")
        assert (found["evalspan.tag.plan"], found["evalspan.tag.n"]) == ("max", 2)
    assert step["app.x"] == 1
    assert theirs[semconv.USER_ID] == "u1"
    assert semconv.USER_ID not in after


def test_a_prompt_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="prompt="), evalspan.context(prompt=("a", "b", "c")):  # type: ignore[arg-type]
        pass


def test_threads_and_pools_belong_to_whoever_feeds_them(server: ScriptedServer, spans: Spans) -> None:
    client = client_of(CHAT_CREATE, server)
    with ThreadPoolExecutor(1) as pool:
        for session in ("one", "two"):
            with evalspan.context(session=session), evalspan.span(session):
                pool.submit(CHAT_CREATE.start, client).result()
                thread = threading.Thread(target=CHAT_CREATE.start, args=(client,))
                thread.start()
                thread.join()
        pool.submit(CHAT_CREATE.start, client).result()
    found = [(dict(s.attributes or {}).get(semconv.CONVERSATION_ID), s.parent is not None) for s in spans.all()]
    assert found == [
        ("one", True),
        ("one", True),
        ("one", False),
        ("two", True),
        ("two", True),
        ("two", False),
        (None, False),
    ]
    start = threading.Thread.start
    evalspan.uninstrument()
    assert threading.Thread.start is not start


def test_the_context_crosses_processes_by_w3c_headers_only_when_asked(server: ScriptedServer, spans: Spans) -> None:
    sent: dict[str, str] = {}
    private: dict[str, str] = {}
    with evalspan.span("caller"):
        with evalspan.context(session="s 1", tags={"plan": "pro"}, baggage=True):
            propagate.inject(sent)
        with evalspan.context(session="private"):
            propagate.inject(private)
    assert "private" not in str(private)
    token = attach(propagate.extract(sent))
    try:
        CHAT_CREATE.start(client_of(CHAT_CREATE, server))
    finally:
        detach(token)
    caller, call = spans.all()
    assert call.context.trace_id == caller.context.trace_id
    assert (call.attributes or {})[semconv.CONVERSATION_ID] == "s 1"
    assert (call.attributes or {})["evalspan.tag.plan"] == "pro"


def test_nothing_is_traced_under_suppress(server: ScriptedServer, spans: Spans) -> None:
    client = client_of(CHAT_CREATE, server)
    with evalspan.suppress():
        CHAT_CREATE.start(client)
        evalspan.observe(name="f")(lambda: None)()
        with evalspan.span("g") as span:
            span.set_attribute("a", 1)
        evalspan.score("thumbs", 1)
    assert spans.all() == []
    CHAT_CREATE.start(client)
    assert len(spans.all()) == 1


@pytest.fixture
def scores(bare_spans: Spans) -> InMemoryLogRecordExporter:
    exporter = InMemoryLogRecordExporter()
    logs = LoggerProvider(shutdown_on_exit=False)
    logs.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    evalspan.init(tracer_provider=bare_spans.provider, logger_provider=logs)
    return exporter


def test_a_score_is_the_event_of_the_conventions_on_the_right_span(scores: Any, bare_spans: Spans) -> None:
    with evalspan.span("answer") as span:
        evalspan.score("thumbs", 1, "up", explanation="liked it")
    evalspan.score("later", True, span=span)
    context = bare_spans.one().context
    evalspan.score("by_id", 0.5, trace_id=f"{context.trace_id:032x}", span_id=f"{context.span_id:016x}")
    evalspan.score("trace", label="ok", trace_id=f"{context.trace_id:032x}")
    records = [item.log_record for item in scores.get_finished_logs()]
    assert {record.event_name for record in records} == {"gen_ai.evaluation.result"}
    assert {record.trace_id for record in records} == {context.trace_id}
    assert [record.span_id for record in records] == [context.span_id] * 3 + [0]
    assert dict(records[0].attributes) == {
        "gen_ai.evaluation.name": "thumbs",
        "gen_ai.evaluation.score.value": 1.0,
        "gen_ai.evaluation.score.label": "up",
        "gen_ai.evaluation.explanation": "liked it",
        "evalspan.evaluation.source": "user_feedback",
    }


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"name": ""}, "empty"),
        ({"name": "x"}, "neither value nor label"),
        ({"name": "x", "value": float("nan")}, "value nan"),
        ({"name": "x", "value": 1, "trace_id": "nonsense"}, "trace_id='nonsense'"),
        ({"name": "x", "value": 1, "span_id": "12"}, "without its trace_id"),
        ({"name": "x", "value": 1}, "no span"),
    ],
)
def test_a_score_that_cannot_be_says_why(arguments: dict[str, Any], complaint: str, scores: Any) -> None:
    with pytest.raises(UsageError, match=complaint):
        evalspan.score(**arguments)
    assert scores.get_finished_logs() == ()


def test_without_init_everything_is_a_no_op() -> None:
    evalspan.uninstrument()
    assert evalspan.observe(name="f")(lambda x: x + 1)(1) == 2
    with evalspan.span("g") as span:
        assert not span.is_recording()
    evalspan.score("thumbs", 1)
