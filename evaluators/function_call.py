"""Calls a user's function, sync or async, without letting it stop the event loop."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any


async def call(function: Callable[..., Any], arguments: Mapping[str, Any], *, inline: bool = False) -> Any:
    """Calls a sync or async function; a sync one in a thread, so that it cannot stop the loop, unless `inline`.

    A thread cannot be killed: a sync function that hangs is given up by the time limit, but keeps its thread.
    """
    if _is_async(function):
        return await function(**arguments)
    result = function(**arguments) if inline else await in_thread(function, **arguments)
    return await result if inspect.isawaitable(result) else result


async def in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls a sync function in a thread. Its StopIteration or GeneratorExit, which would end whoever waits, comes out as a RuntimeError."""
    return await asyncio.to_thread(_without_control_flow, function, args, kwargs)


def _without_control_flow(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return function(*args, **kwargs)
    except StopIteration as error:
        raise RuntimeError("it raised StopIteration (next() on something that is at its end)") from error
    except GeneratorExit as error:
        raise RuntimeError("it raised GeneratorExit") from error


def _is_async(function: Any) -> bool:
    inner = getattr(function, "func", function)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(getattr(inner, "__call__", None))  # noqa: B004
