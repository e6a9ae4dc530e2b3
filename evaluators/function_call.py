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
    result = function(**arguments) if inline else await asyncio.to_thread(function, **arguments)
    return await result if inspect.isawaitable(result) else result


def _is_async(function: Any) -> bool:
    inner = getattr(function, "func", function)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(getattr(inner, "__call__", None))  # noqa: B004
