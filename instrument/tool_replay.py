"""Recorded results in the place of tools: set while a test case replays what production saw, off otherwise.

`@evalspan.observe(kind="tool")` asks here before it runs a tool. Outside of a replay that is one look at a context variable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple


class Replayed(NamedTuple):
    """What a recorded tool call came to: its result, or the exception that it raises."""

    result: Any = None
    error: Exception | None = None

    def give(self) -> Any:
        """The result; raises the error instead where there is one."""
        if self.error is not None:
            raise self.error
        return self.result


Lookup = Callable[[str, dict[str, Any]], Replayed | None]
"""From a tool's name and arguments to what was recorded; None lets the tool itself run."""
_lookup: ContextVar[Lookup | None] = ContextVar("evalspan_tool_replay", default=None)


@contextmanager
def replaying_tools(lookup: Lookup | None) -> Iterator[None]:
    """Inside, observed tools answer from `lookup`."""
    token = _lookup.set(lookup)
    try:
        yield
    finally:
        _lookup.reset(token)


def replayed(name: str, arguments: Callable[[], dict[str, Any]]) -> Replayed | None:
    """What is recorded for a call of a tool; None when nothing is replayed here."""
    lookup = _lookup.get()
    return None if lookup is None else lookup(name, arguments())
