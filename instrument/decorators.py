"""Spans of the app's own: `with evalspan.span(...)` and `@evalspan.observe` on functions, coroutines and generators."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, overload

from opentelemetry.trace import INVALID_SPAN, Span

from ..errors import UsageError
from .current_context import ContextScope
from .observing import ALIASES, KINDS, Observation, begin, inputs, named_arguments, outputs, untraced
from .safe_call import safe_call
from .stepping import Steps, stepped, stepped_async
from .tool_replay import Replayed, replayed

Function = TypeVar("Function", bound=Callable[..., Any])

_MAX_RECORDED_ITERATIONS = 10_000


@contextmanager
def span(name: str, **attributes: Any) -> Iterator[Span]:
    """A span around a block; an exception that leaves the block ends it as an error. Yields the OpenTelemetry span.

    Attribute names with dots are given by a mapping: `span("rerank", **{"app.candidates": 40})`.
    """
    observation = safe_call(begin, name, "span", attributes, None)
    try:
        with _current(observation):
            yield observation.span if observation is not None else INVALID_SPAN
    except GeneratorExit:
        # The generator that has the block in it was closed: nothing failed.
        _end(observation)
        raise
    except BaseException as error:
        _end(observation, None, error)
        raise
    _end(observation)


@overload
def observe(function: Function, /) -> Function: ...
@overload
def observe(
    function: str | None = None,
    /,
    *,
    name: str | None = None,
    kind: str = "span",
    capture_input: bool = True,
    capture_output: bool = True,
    **attributes: Any,
) -> Callable[[Function], Function]: ...
def observe(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    kind: str = "span",
    capture_input: bool = True,
    capture_output: bool = True,
    **attributes: Any,
) -> Any:
    """Makes every call of a function a span with its arguments and result; generators end theirs when they end.

    `kind` names what it is in the conventions: "agent", "tool", "retriever" (its text argument is the query, its
    result the documents), "workflow", or "span" for anything else. Works bare, with a name, or with options.
    UsageError for an unknown kind.
    """
    if function is not None and not callable(function):
        name, function = str(function), None
    known = ALIASES.get(kind, kind)
    if known != "span" and known not in KINDS:
        raise UsageError(f"kind={kind!r} is not known.", hint=f"There are span, {', '.join(KINDS)}.")

    def decorate(target: Function) -> Function:
        observed = _Observed(target, name, known, capture_input, capture_output, attributes)
        return functools.wraps(target)(observed.wrapper())  # type: ignore[return-value]

    return decorate(function) if function is not None else decorate


class _Observed:
    """One decorated function: how its spans are named and what they record."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str | None,
        kind: str,
        capture_input: bool,
        capture_output: bool,
        attributes: dict[str, Any],
    ) -> None:
        self.function = function
        self.name = name or getattr(function, "__qualname__", type(function).__name__).split("<locals>.")[-1]
        self.kind = kind
        self.capture_input = capture_input
        self.capture_output = capture_output
        self.attributes = attributes
        self.signature = safe_call(inspect.signature, function)

    def wrapper(self) -> Callable[..., Any]:
        """The function to put in the place of the observed one, of the same colour."""
        if inspect.isasyncgenfunction(self.function):
            return stepped_async(self.steps)
        if inspect.isgeneratorfunction(self.function):
            return stepped(self.steps)
        if inspect.iscoroutinefunction(self.function):

            async def call_async(*args: Any, **kwargs: Any) -> Any:
                return await self.await_it(args, kwargs)

            return call_async

        def call(*args: Any, **kwargs: Any) -> Any:
            return self.call(args, kwargs)

        return call

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Observation | None:
        """Starts the span of one call. Never raises."""
        content = functools.partial(inputs, self.kind, self.signature, args, kwargs) if self.capture_input else None
        observation = safe_call(begin, self.name, self.kind, self.attributes, content)
        return observation if isinstance(observation, Observation) else None

    def end(self, observation: Observation | None, result: Any) -> None:
        """Ends the span of a call that returned."""
        _end(observation, safe_call(outputs, self.kind, result) if self.capture_output else None)

    def _recorded(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Replayed | None:
        """What stands in for a tool while a test case replays what was recorded; None runs the tool."""
        if self.kind != "tool":
            return None
        return replayed(self.name, lambda: named_arguments(self.signature, args, kwargs))

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs a plain function."""
        observation = self.begin(args, kwargs)
        try:
            with _current(observation):
                recorded = self._recorded(args, kwargs)
                result = self.function(*args, **kwargs) if recorded is None else recorded.give()
        except BaseException as error:
            _end(observation, None, error)
            raise
        self.end(observation, result)
        return result

    async def await_it(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs a coroutine function."""
        observation = self.begin(args, kwargs)
        try:
            with _current(observation):
                recorded = self._recorded(args, kwargs)
                result = await self.function(*args, **kwargs) if recorded is None else recorded.give()
        except BaseException as error:
            _end(observation, None, error)
            raise
        self.end(observation, result)
        return result

    def steps(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Steps]:
        """A generator and its span, which is the current one while the generator runs, not while the app does."""
        steps = _ObservedSteps(self, self.begin(args, kwargs))
        return self.function(*args, **kwargs), steps


class _ObservedSteps(Steps):
    """The span of one generator, and what it gave."""

    def __init__(self, observed: _Observed, observation: Observation | None) -> None:
        self.observed = observed
        self.observation = observation
        self.items: list[Any] = []

    def enter(self) -> ContextScope | None:
        return _enter(self.observation)

    def item(self, item: Any) -> None:
        safe_call(_keep, self.items, item)

    def finished(self, returned: Any) -> None:
        self.observed.end(self.observation, safe_call(_whole, self.items, returned))

    def failed(self, error: BaseException) -> None:
        _end(self.observation, None, error)


def _enter(observation: Observation | None) -> ContextScope | None:
    """Makes an observation's span the current one."""
    entered: ContextScope | None = safe_call(observation.enter) if observation is not None else None
    return entered or safe_call(untraced)


@contextmanager
def _current(observation: Observation | None) -> Iterator[None]:
    scope = _enter(observation)
    try:
        yield
    finally:
        if scope is not None:
            safe_call(scope.leave)


def _end(
    observation: Observation | None, attributes: dict[str, Any] | None = None, error: BaseException | None = None
) -> None:
    if observation is not None:
        safe_call(observation.end, attributes, error)


def _keep(items: list[Any], item: Any) -> None:
    if len(items) < _MAX_RECORDED_ITERATIONS:
        items.append(item)


def _whole(items: list[Any], returned: Any) -> Any:
    """What a generator gave: text in one piece, anything else as a list; with nothing yielded, what it returned."""
    if items and all(isinstance(item, str) for item in items):
        return "".join(items)
    return items or returned
