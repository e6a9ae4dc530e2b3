"""Carries the current context into threads: a call in a worker belongs to the request that asked for it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from typing import Any

from opentelemetry.context import Context, attach, get_current

from .current_context import reset
from .safe_call import safe_call

_placed: list[tuple[Any, str, Any, Any]] = []


def patch_threading() -> None:
    """Wraps `Thread.start` and `ThreadPoolExecutor.submit`; not where OpenTelemetry's own instrumentation did."""
    if _placed or "opentelemetry.instrumentation.threading" in sys.modules:
        return
    for owner, name, hook in ((threading.Thread, "start", _start), (ThreadPoolExecutor, "submit", _submit)):
        original = vars(owner)[name]
        placed = wraps(original)(hook(original))
        setattr(owner, name, placed)
        _placed.append((owner, name, original, placed))


def unpatch_threading() -> None:
    """Restores what still has our wrapper on the outside."""
    while _placed:
        owner, name, original, placed = _placed.pop()
        if vars(owner)[name] is placed:
            setattr(owner, name, original)


def in_context(context: Context, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Calls the function in the context."""
    token = safe_call(attach, context)
    try:
        return function(*args, **kwargs)
    finally:
        if token is not None:
            safe_call(reset, token)


def _start(original: Any) -> Any:
    def start(thread: Any, *args: Any, **kwargs: Any) -> Any:
        context = safe_call(get_current)
        if context:
            safe_call(_carry, thread, context)
        return original(thread, *args, **kwargs)

    return start


def _carry(thread: Any, context: Context) -> None:
    # On the thread itself: `Timer`, and whoever else derives from `Thread`, has a `run` of its own.
    original = thread.run

    def run() -> None:
        vars(thread).pop("run", None)  # else the thread would keep itself alive
        in_context(context, original, (), {})

    thread.run = run


def _submit(original: Any) -> Any:
    def submit(executor: Any, *args: Any, **kwargs: Any) -> Any:
        # Always, also without a context of our own: a pool's threads keep that of whoever made them.
        context = safe_call(get_current)
        if context is None or not args:
            return original(executor, *args, **kwargs)
        function, *rest = args
        return original(executor, partial(in_context, context, function, rest, kwargs))

    return submit
