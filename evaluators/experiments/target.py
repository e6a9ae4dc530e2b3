"""What is under test: a callable, an HTTP endpoint or a recorded file, asked one input at a time.

Whatever goes wrong in it (an exception, a hang, `sys.exit`, an answer that is no text) becomes an Answer with `error`:
a failed case, never a missing one.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from threading import Thread
from typing import Any

import msgspec

from ...errors import UsageError, or_did_you_mean
from ...queries.plain_json import plain_json, plain_text
from ..contract import reason_of
from ..function_call import in_thread
from ..loading import load_object
from ..trajectory.capture import install as install_capture


class Answer(msgspec.Struct, frozen=True):
    """What the target said to one input; `error` says why there is no output."""

    output: str | None
    context: Any = None
    """The passages that the target rested on, when it returned them."""
    error: str | None = None
    latency_s: float = 0.0
    timestamp: str = ""
    details: dict[str, Any] = {}
    """Whatever else the target returned, e.g. trace_id, cost_usd."""
    cached: bool = False


class Identity(msgspec.Struct, frozen=True):
    """What answers: part of every record."""

    target: str
    model: str = ""
    prompt_version: str = ""
    parameters: dict[str, Any] = {}


class Target:
    """A function from an input to an answer, with its identity."""

    def __init__(self, function: Callable[[dict[str, Any]], Any], identity: Identity) -> None:
        self.function = function
        self.identity = identity

    async def answer(self, example_input: dict[str, Any], timeout_s: float) -> Answer:
        """Asks once; never raises, except when this task itself is cancelled."""
        started, at = time.perf_counter(), datetime.now(UTC).isoformat(timespec="milliseconds")

        def failed(reason: str) -> Answer:
            return Answer(None, error=reason, latency_s=time.perf_counter() - started, timestamp=at)

        limit = asyncio.timeout(timeout_s)
        try:
            async with limit:
                result = await self._call(copy.deepcopy(example_input))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return failed("Model call failed: the target cancelled itself")
        except TimeoutError as error:
            said = f"no answer within {timeout_s:g} s" if limit.expired() else reason_of(error)
            return failed(f"Model call failed: {said}")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a target that raises, whatever it is, is a failed case
            return failed(f"Model call failed: {reason_of(error)}")
        return _as_answer(result, time.perf_counter() - started, at)

    async def _call(self, example_input: dict[str, Any]) -> Any:
        if is_async(self.function):
            return await self.function(example_input)
        result = await in_thread(self.function, example_input)
        return await result if inspect.isawaitable(result) else result


class DaemonThreads(ThreadPoolExecutor):
    """A thread per call that does not keep the process alive: a target that hangs must not hold back the verdict."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Starts the call at once; how many run together is for the caller to bound."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # from here on it cannot be cancelled under the thread's feet

        def work() -> None:
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - it is raised again where the future is awaited
                future.set_exception(error)

        Thread(target=copy_context().run, args=(work,), daemon=True, name="evalspan-call").start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Waits for nobody."""


def load_target(reference: str, *, model: str = "", prompt_version: str = "") -> Target:
    """The target that `module:callable`, `http(s)://...` or a recorded `.jsonl`/`.json` file stands for.

    A callable may declare `model`, `prompt_version` and `parameters` as attributes. Raises UsageError.
    """
    # Before the target is imported: what it makes to trace with is then captured from its first span on.
    install_capture()
    if reference.startswith(("http://", "https://")):
        from .endpoint import post_to

        return Target(post_to(reference), Identity(reference, model, prompt_version))
    if reference.endswith((".jsonl", ".json")) and ":" not in reference:
        from .recorded import recorded_answers

        return Target(recorded_answers(reference), Identity(reference, model, prompt_version))
    function = load_object(reference)
    if not callable(function):
        raise UsageError(f"the target {reference} is {type(function).__name__}, not a callable", hint="name a function")
    if isinstance(function, type):
        raise UsageError(f"the target {reference} is a class", hint="name a function, or an instance that is callable")
    return Target(function, identity_of(function, reference, model, prompt_version))


def identity_of(function: Any, reference: str, model: str = "", prompt_version: str = "") -> Identity:
    """The identity that a callable declares, overridden by what the caller says."""
    parameters = getattr(function, "parameters", None)
    return Identity(
        reference,
        model or _text(getattr(function, "model", "")),
        prompt_version or _text(getattr(function, "prompt_version", "")),
        plain_json(parameters) if isinstance(parameters, Mapping) else {},
    )


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine; sees through functools.partial and callable objects."""
    inner = getattr(function, "func", function)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(getattr(inner, "__call__", None))  # noqa: B004


def _as_answer(result: Any, latency_s: float, at: str) -> Answer:
    """The answer as plain data; whatever the target returned, this does not raise."""
    try:
        if isinstance(result, str):
            return Answer(plain_text(result), latency_s=latency_s, timestamp=at)
        if isinstance(result, Mapping) and isinstance(output := result.get("output"), str):
            details = {key: value for key, value in plain_json(result).items() if key not in ("output", "context")}
            return Answer(plain_text(output), plain_json(result.get("context")), None, latency_s, at, details)
        complaint = _complaint(result)
    except Exception as error:  # noqa: BLE001 - a Mapping of the target's own may raise anywhere
        complaint = f"The target's answer cannot be read: {reason_of(error)}"
    return Answer(None, error=plain_text(complaint), latency_s=latency_s, timestamp=at)


def _complaint(result: Any) -> str:
    if not isinstance(result, Mapping):
        return f'The target returned {type(result).__name__}, not a text or {{"output": text}}'
    if "output" in result:
        return f"The target's output is {type(result['output']).__name__}, not a text"
    near = or_did_you_mean("output", [str(key) for key in result])
    return f'The target returned an object without "output"{near}: it has {", ".join(map(str, result)) or "nothing"}'


def _text(value: Any) -> str:
    return plain_text(value) if isinstance(value, str) else ""
