"""Replays recorded tool results, so that a case tests the agent and not what its tools return today.

The recording is in the example's metadata: `tool_results`, one object per call with `name`, `arguments` and `result` or
`error`; `evalspan export failures` writes it. Tools that are observed (`@evalspan.observe(kind="tool")`) or wrapped with
`replayable` answer from it; any other tool runs.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import msgspec

from ...errors import EvalspanError
from ...instrument.observing import named_arguments
from ...instrument.tool_replay import Lookup, Replayed, replayed

TOOL_RESULTS = "tool_results"
Missing = Literal["error", "live"]
Function = TypeVar("Function", bound=Callable[..., Any])


class ToolNotRecorded(EvalspanError):
    """The agent called a tool with arguments that the recording does not have: it left the recorded way."""


class RecordedToolError(EvalspanError):
    """The tool failed when it was recorded, and so it does in the replay."""


class ToolRecording:
    """The recorded calls of one case: each is given out once, in its order; the last one again when more are asked for.

    `missing` says what becomes of a call that was not recorded: "error" raises ToolNotRecorded, which the agent sees as
    a failed tool; "live" runs the tool. Both are counted in `not_recorded`.
    """

    def __init__(self, results: Sequence[Mapping[str, Any]], *, missing: Missing = "error") -> None:
        self._missing = missing
        self._lock = threading.Lock()
        self._recorded: dict[tuple[str, bytes], deque[Mapping[str, Any]]] = defaultdict(deque)
        for one in results:
            self._recorded[_key(str(one.get("name")), one.get("arguments") or {})].append(one)
        self.replayed = 0
        self.not_recorded: list[str] = []

    def __repr__(self) -> str:
        return f"<ToolRecording of {len(self._recorded)} calls, {self.replayed} replayed, {len(self.not_recorded)} unknown>"

    def lookup(self, name: str, arguments: dict[str, Any]) -> Replayed | None:
        """What `instrument/tool_replay.py` asks for."""
        with self._lock:
            waiting = self._recorded.get(_key(name, arguments))
            if waiting:
                self.replayed += 1
                return _replayed(name, waiting.popleft() if len(waiting) > 1 else waiting[0])
            self.not_recorded.append(f"{name}({msgspec.json.encode(arguments, enc_hook=str).decode()})"[:300])
        if self._missing == "live":
            return None
        said = f"the recording has no call {self.not_recorded[-1]}"
        return Replayed(error=ToolNotRecorded(said, hint="--replay-tools=live runs what was not recorded"))


def recording_of(metadata: Mapping[str, Any], *, missing: Missing = "error") -> ToolRecording | None:
    """The recording in an example's metadata; None when there is none."""
    results = metadata.get(TOOL_RESULTS)
    if not isinstance(results, list):
        return None
    return ToolRecording([one for one in results if isinstance(one, Mapping)], missing=missing)


def lookup_of(recording: ToolRecording | None) -> Lookup | None:
    """The recording as `replaying_tools` takes it."""
    return None if recording is None else recording.lookup


def replayable(function: Function, name: str = "") -> Function:
    """A tool of a framework that answers from the recording while a case replays one, and is itself otherwise.

    Give the framework `replayable(find_order)` in the place of `find_order`; name, signature and docstring are kept.
    """
    signature = inspect.signature(function)
    own_name = name or getattr(function, "__name__", type(function).__name__)

    def recorded(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Replayed | None:
        return replayed(own_name, lambda: named_arguments(signature, args, kwargs))

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            found = recorded(args, kwargs)
            return await function(*args, **kwargs) if found is None else found.give()

        return call_async  # type: ignore[return-value]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        found = recorded(args, kwargs)
        return function(*args, **kwargs) if found is None else found.give()

    return call  # type: ignore[return-value]


def _replayed(name: str, one: Mapping[str, Any]) -> Replayed:
    error = one.get("error")
    return Replayed(error=RecordedToolError(f"{name}: {error}")) if error else Replayed(one.get("result"))


def _key(name: str, arguments: Any) -> tuple[str, bytes]:
    return name, msgspec.json.encode(arguments, enc_hook=str, order="sorted")
