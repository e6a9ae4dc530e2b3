"""Whatever fails inside the instrumentation, the app is as it was: every function of it that runs is made to fail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.trace import get_current_span

import evalspan

from ..scripted import Reply, ScriptedServer, scripted_server
from .conftest import Spans
from .injection import (
    BOUNDARIES,
    FUNCTIONS,
    INJECTED,
    SDK_FAULTS,
    Fault,
    inject,
    named,
    places_awaited_by,
    places_run_by,
)
from .scenarios import SCENARIOS, Scenario, client_of, run, run_async

pytestmark = pytest.mark.slow  # forty calls for each of 164 cases

FAILING = ("chat.create", "chat stream", "messages.create", "messages stream")
CASES = [(s, False) for s in SCENARIOS] + [(s, True) for s in SCENARIOS if s.name in FAILING]
# The clouds' clients and what is passed through take the same asynchronous path as the others.
ASYNC_CASES = [(scenario, failing) for scenario, failing in CASES if scenario.operation and not scenario.cloud]


def cases(given: list[tuple[Scenario, bool]]) -> pytest.MarkDecorator:
    ids = [f"{scenario.name.replace(' ', '_')}{'-error' if failing else ''}" for scenario, failing in given]
    return pytest.mark.parametrize(("scenario", "failing"), given, ids=ids)


def outcome(call: Callable[[], Any]) -> Any:
    """What the app sees: the result, or the exception."""
    try:
        return call()
    except Fault:
        raise
    except Exception as error:  # the app's own business, compared like a result
        return type(error).__name__, str(error)


def comparable(scenario: Scenario, server: ScriptedServer) -> bytes | None:
    """What was sent; the boundary between the parts of a form is chance."""
    request = server.requests[-1]
    return None if "multipart" in request.headers.get("content-type", "") else request.raw


@pytest.fixture
def everything_on(bare_spans: Spans, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Switches on all that a call can pass through: content on spans and events, redaction, metrics."""
    logs = LoggerProvider(shutdown_on_exit=False)
    logs.add_log_record_processor(SimpleLogRecordProcessor(InMemoryLogRecordExporter()))
    meters = MeterProvider(shutdown_on_exit=False)
    monkeypatch.setattr("opentelemetry.metrics.get_meter_provider", lambda: meters)
    monkeypatch.setattr("opentelemetry.metrics.get_meter", meters.get_meter)
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai/dup")

    def switch_on() -> None:
        evalspan.init(
            tracer_provider=bare_spans.provider,
            logger_provider=logs,
            capture_content="SPAN_AND_EVENT",
            redact=True,
            max_content_bytes=400,
        )

    return switch_on


@cases(CASES)
def test_no_fault_of_ours_reaches_the_app(
    scenario: Scenario, failing: bool, server: ScriptedServer, everything_on, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(scenario, server)

    def call() -> Any:
        if failing:
            server.then(Reply(status=400))
        return outcome(lambda: run(scenario, client))

    expected = call()
    body = comparable(scenario, server)
    everything_on()
    places = places_run_by(call)
    assert len(places) > (20 if scenario.operation else 5)
    for owner, name in places:
        with monkeypatch.context() as patch:
            inject(patch, (owner, name))
            assert call() == expected, f"{named(owner, name)} reached the app"
            assert not get_current_span().get_span_context().is_valid, f"{named(owner, name)} left the span current"
        assert comparable(scenario, server) == body
    assert len(server.requests) == len(places) + 2


@cases(ASYNC_CASES)
async def test_no_fault_of_ours_reaches_an_async_app(
    scenario: Scenario, failing: bool, server: ScriptedServer, everything_on, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(scenario, server, asynchronous=True)

    async def call() -> Any:
        if failing:
            server.then(Reply(status=400))
        try:
            return await run_async(scenario, client)
        except Fault:
            raise
        except Exception as error:
            return type(error).__name__, str(error)

    expected = await call()
    everything_on()
    for owner, name in await places_awaited_by(call):
        with monkeypatch.context() as patch:
            inject(patch, (owner, name))
            assert await call() == expected, f"{named(owner, name)} reached the app"
            assert not get_current_span().get_span_context().is_valid, f"{named(owner, name)} left the span current"


def own_outcomes() -> list[Any]:
    """What an app with functions, generators, blocks, contexts and scores of its own sees."""
    double = evalspan.observe(kind="tool", name="double")(lambda x: 2 * x)

    @evalspan.observe
    def count() -> Iterator[int]:
        got = yield 1
        yield got or 2

    @evalspan.observe(kind="retriever")
    def fail(query: str) -> None:
        raise KeyError(query)

    @evalspan.observe(kind="retriever")
    def search(query: str) -> list[Any]:
        return ["a", ("b", 0.5)]

    @evalspan.observe(kind="agent")
    async def answer(question: str) -> str:
        await asyncio.sleep(0)
        return question.upper()

    @evalspan.observe
    async def words() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    async def gathered() -> list[Any]:
        return [await answer("why"), [word async for word in words()]]

    half_read: Any = count()
    seen: list[Any] = [double(4), list(count()), next(half_read), outcome(lambda: fail("q")), search("q")]
    half_read.close()
    seen += asyncio.run(gathered())
    with evalspan.context(session="s", user="u", prompt=("p", 1), tags={"a": 1}, baggage=True):
        with evalspan.span("block", **{"app.x": 1}) as span:
            span.set_attribute("app.y", 2)
            evalspan.score("thumbs", 1, "up", explanation="liked it")
        evalspan.score("later", 0.5, trace_id="ab" * 16, span_id="cd" * 8)
    with evalspan.suppress():
        seen.append(double(1))
    return seen


def test_no_fault_of_ours_reaches_the_apps_own_functions_blocks_and_scores(everything_on, monkeypatch) -> None:
    expected = own_outcomes()
    everything_on()
    places = places_run_by(own_outcomes)
    assert {"begin", "inputs", "outputs", "_whole", "_emit", "_enter", "current_attributes"} <= {n for _, n in places}
    # What the app does to the span that it was handed goes to OpenTelemetry, not to us.
    for owner, name in [place for place in places if place != SDK_FAULTS[2]]:
        with monkeypatch.context() as patch:
            inject(patch, (owner, name))
            assert own_outcomes() == expected, f"{named(owner, name)} reached the app"
            assert not get_current_span().get_span_context().is_valid, f"{named(owner, name)} left a span current"


def test_no_fault_of_our_processor_reaches_the_spans_of_others(bare_spans: Spans, monkeypatch) -> None:
    with scripted_server() as collector:
        evalspan.init(tracer_provider=bare_spans.provider, endpoint=collector.root)
        tracer = bare_spans.provider.get_tracer("someone.else")

        def others() -> str:
            with evalspan.context(session="s"), tracer.start_as_current_span("theirs") as span:
                span.set_attribute("a", 1)
            return "done"

        places = [place for place in places_run_by(others) if place not in SDK_FAULTS]
        assert {"add_context_attributes", "_queue"} <= {name for _, name in places}
        for place in places:
            with monkeypatch.context() as patch:
                inject(patch, place)
                assert others() == "done", f"{named(*place)} reached the app"
        evalspan.uninstrument()


def test_no_fault_of_ours_reaches_the_apps_threads(server: ScriptedServer, everything_on, monkeypatch) -> None:
    everything_on()

    def threads() -> list[int]:
        seen: list[int] = []
        with evalspan.context(session="s"), ThreadPoolExecutor(1) as pool:
            thread = threading.Thread(target=seen.append, args=(6,))
            thread.start()
            thread.join()
            return [*seen, pool.submit(lambda: 7).result()]

    places = places_run_by(threads)
    assert "_carry" in {name for _, name in places}
    for place in places:
        with monkeypatch.context() as patch:
            inject(patch, place)
            assert threads() == [6, 7], f"{named(*place)} reached the app"


def test_the_injection_covers_the_instrumentation() -> None:
    found = {named(owner, name) for owner, name in FUNCTIONS}
    assert len(INJECTED) > 180
    assert {("call_span", "CallSpan.finish"), ("call_span", "CallSpan.ended"), ("call_span", "relay")} <= found
    # Nothing is excepted that is not there any more.
    assert {(module, name) for module, names in BOUNDARIES.items() for name in names} <= found
