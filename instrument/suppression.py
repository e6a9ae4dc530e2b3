"""Switches tracing off for a block: what judges run under, so that evaluations are not evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context, attach, detach, get_current, set_value

# OpenTelemetry has two keys for the same wish; its own helper sets both, and costs an import of several milliseconds.
_KEYS = (_SUPPRESS_INSTRUMENTATION_KEY, "suppress_instrumentation")


@contextmanager
def suppress() -> Iterator[None]:
    """No spans from any well-behaved instrumentation inside; works around coroutines and as a decorator too."""
    context = get_current()
    for key in _KEYS:
        context = set_value(key, True, context)
    token = attach(context)
    try:
        yield
    finally:
        detach(token)


def is_suppressed(context: Context | None = None) -> bool:
    """Whether the context, else the current one, asked for no spans, in any of OpenTelemetry's spellings."""
    context = get_current() if context is None else context
    return bool(context.get(_KEYS[0]) or context.get(_KEYS[1]))
