"""What the fault tests inject into: every function of the instrumentation, found by looking, and which of them ran."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import CodeType, ModuleType
from typing import Any

import pytest
from opentelemetry.sdk.trace import Span, Tracer

from evalspan import instrument

Place = tuple[Any, str]

# The steps of OpenTelemetry's own that we take.
SDK_FAULTS: list[Place] = [
    (Tracer, "start_span"),
    (Span, "set_attributes"),
    (Span, "set_attribute"),
    (Span, "set_status"),
    (Span, "end"),
]
# Whatever is not here is made to fail. These are the guard itself, the wrappers that do no more than safe calls around
# the app's own call, what runs between the app's own steps, and the checks of arguments, whose purpose is to raise.
BOUNDARIES = {
    "safe_call": {"safe_call"},
    "current_context": {"reset", "ContextScope.__init__", "ContextScope.leave"},
    "hooks": {
        *("Hooks._request", "Hooks._async_request", "Hooks._another_leaves"),
        *("parse_hook", "close_hook", "async_close_hook", "retry_hook", "stream_hook", "async_stream_hook"),
    },
    "call_span": {"_Watched.__iter__", "_Watched.close", "_AsyncWatched.__aiter__", "_AsyncWatched.aclose"},
    "native_spans": {"suppress_native_span"},
    "threads": {"_start", "_submit", "in_context"},
    "stepping": {
        "stepped",
        "stepped_async",
        "_step",
        "_leave",
        *(f"Steps.{n}" for n in ("enter", "item", "finished", "failed")),
    },
    "decorators": {
        *("span", "observe", "_current", "_enter", "_end", "_Observed.__init__", "_Observed.wrapper", "_Observed.call"),
        *("_Observed.begin", "_Observed.end", "_Observed.await_it", "_Observed.steps", "_Observed._recorded"),
        *(f"_ObservedSteps.{name}" for name in ("__init__", "enter", "item", "finished", "failed")),
    },
    # Whoever replays tools is to hear of a fault; outside of a replay it is one look at a context variable.
    "tool_replay": {"replayed"},
    "context": {"context", "_attributes"},
    "suppression": {
        "suppress.__init__",
        "suppress.__enter__",
        "suppress.__exit__",
        "suppress.__call__",
        "_without_spans",
        "_Suppressed.enter",
    },
    "foreign_spans": {f"ForeignSpans.{name}" for name in ("on_start", "_on_ending", "on_end")},
    "feedback": {"score", "_check", "_target", "_number"},
    "provider": {"BoundedProcessor.on_end"},
}


class Fault(Exception):
    """What is raised inside the instrumentation."""


def fault(*args: Any, **kwargs: Any) -> Any:
    raise Fault("injected")


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(instrument.__path__, f"{instrument.__name__}."):
        yield importlib.import_module(found.name)


def named(owner: Any, name: str) -> tuple[str, str]:
    """The module of a function, and its name in it."""
    if isinstance(owner, ModuleType):
        return owner.__name__.rpartition(".")[2], name
    return str(owner.__module__).rpartition(".")[2], f"{owner.__name__}.{name}"


def functions() -> list[Place]:
    """Every function, method and property defined in the instrumentation, as owner and name."""
    found: list[Place] = []
    for module in modules():
        for name, value in vars(module).items():
            if getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isclass(value):
                members = vars(value).items()
                found += [
                    (value, key) for key, body in members if inspect.isfunction(body) or isinstance(body, property)
                ]
            elif inspect.isroutine(value) or hasattr(value, "__wrapped__"):
                found.append((module, name))
    return found


FUNCTIONS = functions()
INJECTED = [
    (owner, name) for owner, name in FUNCTIONS if named(owner, name)[1] not in BOUNDARIES.get(named(owner, name)[0], ())
]


def code_of(place: Place) -> CodeType | None:
    body: Any = vars(place[0])[place[1]]
    body = body.fget if isinstance(body, property) else body
    return getattr(inspect.unwrap(body), "__code__", None)


@contextmanager
def watched(ran: set[CodeType]) -> Iterator[None]:
    """Notes every Python function that runs in this thread."""

    def note(frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            ran.add(frame.f_code)

    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)


def among(ran: set[CodeType]) -> list[Place]:
    """The functions to make fail: those that ran, those whose results are kept, and OpenTelemetry's own."""
    kept = [p for p in INJECTED if code_of(p) in ran or hasattr(vars(p[0])[p[1]], "cache_clear")]
    return [*kept, *SDK_FAULTS]


def places_run_by(call: Callable[[], Any]) -> list[Place]:
    """What to make fail under this call."""
    ran: set[CodeType] = set()
    with watched(ran):
        call()
    return among(ran)


async def places_awaited_by(call: Callable[[], Awaitable[Any]]) -> list[Place]:
    """The same for a coroutine."""
    ran: set[CodeType] = set()
    with watched(ran):
        await call()
    return among(ran)


def inject(patch: pytest.MonkeyPatch, place: Place) -> None:
    """Makes the function fail where it is defined and wherever it was imported by name."""
    owner, name = place
    body = vars(owner)[name]
    if not isinstance(owner, ModuleType):
        patch.setattr(owner, name, property(fault) if isinstance(body, property) else fault)
        return
    for module in modules():
        for key, value in list(vars(module).items()):
            if value is body:
                patch.setattr(module, key, fault)
