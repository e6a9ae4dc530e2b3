"""Switches tracing off for a block: what judges run under, so that evaluations are not evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context, get_current
from opentelemetry.instrumentation.utils import _SUPPRESS_INSTRUMENTATION_KEY_PLAIN, suppress_instrumentation


@contextmanager
def suppress() -> Iterator[None]:
    """No spans from any well-behaved instrumentation inside; works in coroutines and as a decorator too."""
    with suppress_instrumentation():
        yield


def is_suppressed(context: Context | None = None) -> bool:
    """Whether the context, else the current one, asked for no spans, in any of OpenTelemetry's spellings."""
    context = get_current() if context is None else context
    return bool(context.get(_SUPPRESS_INSTRUMENTATION_KEY) or context.get(_SUPPRESS_INSTRUMENTATION_KEY_PLAIN))
