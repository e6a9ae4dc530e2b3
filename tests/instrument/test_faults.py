"""Whatever fails inside the instrumentation, the app's call is as it was: every function of it is made to fail."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from opentelemetry.sdk.trace import Span, Tracer
from opentelemetry.trace import get_current_span

import evalspan
from evalspan import instrument

from ..scripted import Reply, ScriptedServer
from .conftest import Spans
from .scenarios import SCENARIOS, Scenario, client_of, run, run_async

# The wrappers themselves are the guard, with the one function that they guard each step by; what is not on the path
# of a call (settings, switching on, the terminal) may raise at its caller.
GUARDS = {"guarded", "ignore"}
OFF_THE_PATH = {"cli", "config", "entry_points", "errors", "events", "feedback", "provider", "semconv", "start"}
WRAPPERS = {"Hooks"}


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(instrument.__path__, f"{instrument.__name__}."):
        if found.name.rpartition(".")[2] not in OFF_THE_PATH:
            yield importlib.import_module(found.name)


def functions() -> list[tuple[Any, str]]:
    """Every function and method defined in the instrumentation, as owner and name."""
    found: list[tuple[Any, str]] = []
    for module in modules():
        for name, value in vars(module).items():
            if getattr(value, "__module__", None) != module.__name__ or name in GUARDS | WRAPPERS:
                continue
            if inspect.isclass(value):
                found += [(value, method) for method, body in vars(value).items() if inspect.isfunction(body)]
            elif inspect.isroutine(value) or hasattr(value, "__wrapped__"):
                found.append((module, name))
    return found


FUNCTIONS = functions()
OF_OWN_SPANS = ("observing", "decorators", "context", "content", "suppression", "recording")


def of_calls(scenario: Scenario) -> list[tuple[Any, str]]:
    """What a call of this SDK can pass through."""
    other = "anthropic" if scenario.sdk == "openai" else "openai"
    apart = (f".libraries.{other}", ".observing", ".decorators", ".threads")
    return [(owner, name) for owner, name in FUNCTIONS if not any(part in module_of(owner) for part in apart)]


def module_of(owner: Any) -> str:
    return owner.__name__ if isinstance(owner, ModuleType) else str(owner.__module__)


SDK_FAULTS: list[tuple[Any, str]] = [
    (Tracer, "start_span"),
    (Span, "set_attributes"),
    (Span, "set_attribute"),
    (Span, "set_status"),
    (Span, "end"),
]


class Fault(Exception):
    """What is raised inside the instrumentation."""


def fault(*args: Any, **kwargs: Any) -> Any:
    raise Fault("injected")


def places(owner: Any, name: str) -> list[tuple[Any, str]]:
    """The function where it is defined and wherever it was imported by name."""
    function = vars(owner)[name]
    if not isinstance(owner, ModuleType):
        return [(owner, name)]
    return [(module, key) for module in modules() for key, value in vars(module).items() if value is function]


def outcome(call: Callable[[], Any]) -> Any:
    """What the app sees: the result, or the exception."""
    try:
        return call()
    except Fault:
        raise
    except Exception as error:  # the app's own business, compared like a result
        return type(error).__name__, str(error)


ALL = [(scenario, False) for scenario in SCENARIOS]
ERRORS = [
    (s, True) for s in SCENARIOS if s.name in ("chat.create", "chat stream", "messages.create", "messages stream")
]
ASYNC = {
    "chat.create",
    "chat stream",
    "chat.raw",
    "chat.streaming_response",
    "messages.create",
    "messages.stream helper",
}


@pytest.mark.parametrize(
    ("scenario", "failing"), ALL + ERRORS, ids=lambda v: v.name.replace(" ", "_") if isinstance(v, Scenario) else str(v)
)
def test_no_fault_of_ours_reaches_the_app(
    scenario: Scenario, failing: bool, server: ScriptedServer, bare_spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(scenario, server)

    def call() -> Any:
        if failing:
            server.then(Reply(status=400))
        return run(scenario, client)

    expected = outcome(call)
    body = server.requests[-1].raw if scenario.operation != "generate_content" else None
    evalspan.init(tracer_provider=bare_spans.provider)
    for owner, name in [*of_calls(scenario), *SDK_FAULTS]:
        with monkeypatch.context() as patch:
            for place, key in places(owner, name):
                patch.setattr(place, key, fault)
            assert outcome(call) == expected, f"{getattr(owner, '__name__', owner)}.{name} reached the app"
            assert not get_current_span().get_span_context().is_valid, f"{name} left the call's span current"
        if body is not None:
            assert server.requests[-1].raw == body
    assert len(server.requests) == len(of_calls(scenario)) + len(SDK_FAULTS) + 1


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s.name in ASYNC], ids=lambda s: s.name)
async def test_no_fault_of_ours_reaches_an_async_app(
    scenario: Scenario, server: ScriptedServer, bare_spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(scenario, server, asynchronous=True)

    async def call() -> Any:
        try:
            return await run_async(scenario, client)
        except Fault:
            raise
        except Exception as error:
            return type(error).__name__, str(error)

    expected = await call()
    evalspan.init(tracer_provider=bare_spans.provider)
    for owner, name in [*of_calls(scenario), *SDK_FAULTS]:
        with monkeypatch.context() as patch:
            for place, key in places(owner, name):
                patch.setattr(place, key, fault)
            assert await call() == expected, f"{getattr(owner, '__name__', owner)}.{name} reached the app"


def observed_outcomes() -> list[Any]:
    """What an app with functions, generators and blocks of its own sees."""
    double = evalspan.observe(kind="tool", name="double")(lambda x: 2 * x)

    @evalspan.observe
    def count() -> Iterator[int]:
        yield from (1, 2)

    @evalspan.observe(kind="retriever")
    def fail(query: str) -> None:
        raise KeyError(query)

    seen: list[Any] = [double(4), list(count()), outcome(lambda: fail("q"))]
    with evalspan.span("block") as span:
        seen.append(span is not None)
    return seen


# The app's own calls into us say what is wrong with them; the wrappers guard each step that they take elsewhere.
CALLED_BY_THE_APP = {"context", "span", "observe", "suppress", "__init__", "wrapper", "async_generator"}
WRAPPING = {"begin", "call", "await_it", "iterate", "end", "_current", "_end", "_keep", "_whole"}
OWN = [
    (owner, name)
    for owner, name in FUNCTIONS
    if module_of(owner).rpartition(".")[2] in OF_OWN_SPANS
    and name not in CALLED_BY_THE_APP | {"_Observed"}
    and not (module_of(owner).endswith(".decorators") and name in WRAPPING)
]


@pytest.mark.parametrize(("owner", "name"), [*OWN, *SDK_FAULTS], ids=lambda v: getattr(v, "__name__", str(v)))
def test_no_fault_of_ours_reaches_an_observed_function(owner: Any, name: str, spans: Spans, monkeypatch) -> None:
    expected = observed_outcomes()
    for place, key in places(owner, name):
        monkeypatch.setattr(place, key, fault)
    assert observed_outcomes() == expected


def test_the_injection_covers_the_instrumentation() -> None:
    named = {f"{getattr(owner, '__name__', '')}.{name}" for owner, name in FUNCTIONS}
    assert len(named) > 100
    assert "Recorder.finish" in named
    assert "evalspan.instrument.libraries.hooks.relay" in named
