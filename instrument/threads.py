"""Carries the current context into threads: a call in a worker belongs to the request that asked for it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import wrapt
from opentelemetry.context import Context, attach, detach, get_current

from .guard import guarded

_ATTRIBUTE = "_evalspan_context"
_placed: list[tuple[Any, str, Any, Any]] = []


def carry_context() -> None:
    """Wraps `Thread.start`, `Thread.run` and `ThreadPoolExecutor.submit`; not where OpenTelemetry's own did."""
    if _placed or "opentelemetry.instrumentation.threading" in sys.modules:
        return
    for owner, name, wrapper in (
        (threading.Thread, "start", _start),
        (threading.Thread, "run", _run),
        (ThreadPoolExecutor, "submit", _submit),
    ):
        original = vars(owner)[name]
        placed = wrapt.FunctionWrapper(original, wrapper)
        setattr(owner, name, placed)
        _placed.append((owner, name, original, placed))


def stop_carrying() -> None:
    """Restores what still has our wrapper on the outside."""
    while _placed:
        owner, name, original, placed = _placed.pop()
        if vars(owner)[name] is placed:
            setattr(owner, name, original)


def in_context(context: Context, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Calls the function in the context."""
    token = guarded(attach, context)
    try:
        return function(*args, **kwargs)
    finally:
        if token is not None:
            guarded(detach, token)


def _start(wrapped: Any, thread: Any, args: Any, kwargs: Any) -> Any:
    context = guarded(get_current)
    if context:
        setattr(thread, _ATTRIBUTE, context)
    return wrapped(*args, **kwargs)


def _run(wrapped: Any, thread: Any, args: Any, kwargs: Any) -> Any:
    context = vars(thread).pop(_ATTRIBUTE, None)
    return wrapped(*args, **kwargs) if context is None else in_context(context, wrapped, args, kwargs)


def _submit(wrapped: Any, executor: Any, args: Any, kwargs: Any) -> Any:  # noqa: ARG001 - wrapt's signature
    # Always, also without a context of our own: a pool's threads keep that of whoever made them.
    context = guarded(get_current)
    if context is None or not args:
        return wrapped(*args, **kwargs)
    function, *rest = args
    return wrapped(partial(in_context, context, function, rest, kwargs))
