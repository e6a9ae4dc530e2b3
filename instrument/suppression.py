"""Switches tracing off for a block: what judges run under, so that evaluations are not evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.instrumentation.utils import is_instrumentation_enabled, suppress_instrumentation


@contextmanager
def suppress() -> Iterator[None]:
    """No spans from any well-behaved instrumentation inside; works in coroutines and as a decorator too."""
    with suppress_instrumentation():
        yield


def is_suppressed() -> bool:
    """Whether the current context asked for no spans."""
    return not is_instrumentation_enabled()
