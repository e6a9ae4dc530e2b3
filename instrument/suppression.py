"""Switches tracing off for a block or a function: what judges run under, so that evaluations are not evaluated."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context, get_current

from .current_context import ContextScope, live_context
from .safe_call import safe_call
from .stepping import Steps, stepped, stepped_async

Function = TypeVar("Function", bound=Callable[..., Any])

# OpenTelemetry has two keys for the same wish; its own helper sets both, and costs an import of several milliseconds.
_KEYS = (_SUPPRESS_INSTRUMENTATION_KEY, "suppress_instrumentation")


class suppress:  # noqa: N801 - it is written like the function that it looks like
    """No spans from any well-behaved instrumentation inside.

    A block, `with suppress():`, also around awaited calls; or a decorator, `@suppress()`, of functions, coroutine
    functions, generators and asynchronous generators.
    """

    def __init__(self) -> None:
        self._scopes: list[ContextScope | None] = []

    def __enter__(self) -> None:
        self._scopes.append(safe_call(suppressed_scope))

    def __exit__(self, *raised: object) -> None:
        if (scope := self._scopes.pop()) is not None:
            safe_call(scope.leave)

    def __call__(self, function: Function) -> Function:
        """The function without spans; of the same kind as it was."""
        return functools.wraps(function)(_without_spans(function))  # type: ignore[return-value]


def _without_spans(function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(function):
        return stepped_async(lambda args, kwargs: (function(*args, **kwargs), _Suppressed()))
    if inspect.isgeneratorfunction(function):
        return stepped(lambda args, kwargs: (function(*args, **kwargs), _Suppressed()))
    if inspect.iscoroutinefunction(function):

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            with suppress():
                return await function(*args, **kwargs)

        return call_async

    def call(*args: Any, **kwargs: Any) -> Any:
        with suppress():
            return function(*args, **kwargs)

    return call


class _Suppressed(Steps):
    def enter(self) -> ContextScope | None:
        scope: ContextScope | None = safe_call(suppressed_scope)
        return scope


def suppressed_scope() -> ContextScope:
    """Makes a context without spans the current one, until it is left."""
    return ContextScope(Context({**live_context(), **dict.fromkeys(_KEYS, True)}))


def is_suppressed(context: Context | None = None) -> bool:
    """Whether the context, else the current one, asked for no spans, in any of OpenTelemetry's spellings."""
    context = get_current() if context is None else context
    return bool(context.get(_KEYS[0]) or context.get(_KEYS[1]))
