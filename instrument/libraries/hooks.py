"""The hooks: both SDKs send every call through their base client's `request` and every stream through `__stream__`.

Whatever fails in here, the call goes on as if it were not there: the wrappers guard each step they add.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from time import perf_counter
from typing import Any

import wrapt
from opentelemetry.context import detach, get_current, get_value

from ..guard import guarded
from ..recording import CURRENT_CALL, Recorder, Tracing
from . import anthropic, openai
from .calls import Library, enter
from .coexistence import traced_by_another
from .native import leave_to_us
from .responses import closed_late, follow, followed, is_read, parsed_late

log = logging.getLogger(__name__)


class Hooks:
    """The wrappers in one SDK: put in once, inert while `tracing` is None, taken out again without a trace."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.tracing: Tracing | None = None
        self._placed: list[tuple[Any, str, Any, Any]] = []
        self._awaited = False

    def activate(self, tracing: Tracing) -> None:
        """Traces this SDK's calls from now on, or from when it is imported."""
        self.tracing = tracing
        if not self._placed and not self._awaited:
            self._awaited = True
            wrapt.register_post_import_hook(self._imported, self.library.NAME)

    def deactivate(self) -> None:
        """Restores every function that still has our wrapper on the outside; others' wrappers are left alone."""
        self.tracing = None
        while self._placed:
            owner, name, original, wrapper = self._placed.pop()
            if vars(owner).get(name) is wrapper:
                setattr(owner, name, original)

    def _imported(self, module: Any) -> None:
        """Runs when the SDK is imported: an exception here would make the app's import fail."""
        self._awaited = False
        if self.tracing is None:
            return
        try:
            self._place(module.__name__)
            traced_by_another(self.library.NAME, get_current())  # says so now, not at the first call
        except Exception as error:  # noqa: BLE001 - whatever it is, the import goes on
            self.deactivate()
            version = getattr(module, "__version__", "unknown")
            log.warning("evalspan cannot trace %s %s (%s); its calls are left alone", module.__name__, version, error)

    def _place(self, package: str) -> None:
        client, streaming = import_module(f"{package}._base_client"), import_module(f"{package}._streaming")
        self._wrap(client.SyncAPIClient, "request", self._request)
        self._wrap(client.AsyncAPIClient, "request", self._async_request)
        self._wrap(streaming.Stream, "__stream__", self._stream)
        self._wrap(streaming.AsyncStream, "__stream__", self._async_stream)
        self._wrap(streaming.Stream, "close", self._close)
        self._wrap(streaming.AsyncStream, "close", self._async_close)
        for kind in (client.SyncAPIClient, client.AsyncAPIClient):
            # Older releases have it under the second name.
            name = "_sleep_for_retry" if "_sleep_for_retry" in vars(kind) else "_retry_request"
            self._wrap(kind, name, self._retry, optional=True)
        response = import_module(f"{package}._response")
        self._wrap(response.BaseAPIResponse, "_parse", self._parse)
        self._wrap(response.APIResponse, "close", self._close)
        self._wrap(response.AsyncAPIResponse, "close", self._async_close)
        if package == openai.NAME:
            legacy = import_module(f"{package}._legacy_response")
            self._wrap(legacy.LegacyAPIResponse, "_parse", self._parse)
            if (others := sys.modules.get("opentelemetry.instrumentation.instrumentor")) is not None:
                self._wrap(others.BaseInstrumentor, "uninstrument", self._another_leaves)
        else:
            self._wrap(client, "start_api_call_span", leave_to_us, optional=True)

    def _wrap(self, owner: Any, name: str, wrapper: Callable[..., Any], *, optional: bool = False) -> None:
        original = vars(owner).get(name)
        if original is None:
            if optional:
                return
            raise AttributeError(f"{owner.__name__} has no {name}")
        placed = wrapt.FunctionWrapper(original, wrapper)
        setattr(owner, name, placed)
        self._placed.append((owner, name, original, placed))

    def _another_leaves(self, wrapped: Any, instrumentor: Any, args: Any, kwargs: Any) -> Any:  # noqa: ARG002
        result = wrapped(*args, **kwargs)
        guarded(self.uncover)
        return result

    def uncover(self) -> None:
        """Takes away bare functions that another instrumentation, leaving, put in front of our wrappers.

        OpenInference wraps `OpenAI.request`, below our hook; switched on before us, it restores a function without it.
        """
        for owner, name, original, _ in self._placed:
            for kind in below(owner) if isinstance(owner, type) else ():
                if vars(kind).get(name) is original:
                    delattr(kind, name)

    def _request(self, wrapped: Any, client: Any, args: Any, kwargs: Any) -> Any:
        call = guarded(enter, self.library, self.tracing, client, args, kwargs)
        if call is None:
            return wrapped(*args, **kwargs)
        recorder, token = call
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            guarded(detach, token)
            guarded(recorder.finish, None, error)
            raise
        guarded(detach, token)
        guarded(follow, recorder, result)
        return result

    async def _async_request(self, wrapped: Any, client: Any, args: Any, kwargs: Any) -> Any:
        call = guarded(enter, self.library, self.tracing, client, args, kwargs)
        if call is None:
            return await wrapped(*args, **kwargs)
        recorder, token = call
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as error:
            guarded(detach, token)
            guarded(recorder.finish, None, error)
            raise
        guarded(detach, token)
        guarded(follow, recorder, result)
        return result

    def _stream(self, wrapped: Any, stream: Any, args: Any, kwargs: Any) -> Any:
        events = wrapped(*args, **kwargs)
        return guarded(relay, events, stream.response) or events

    def _async_stream(self, wrapped: Any, stream: Any, args: Any, kwargs: Any) -> Any:
        events = wrapped(*args, **kwargs)
        return guarded(async_relay, events, stream.response) or events

    def _parse(self, wrapped: Any, response: Any, args: Any, kwargs: Any) -> Any:
        result = wrapped(*args, **kwargs)
        guarded(parsed_late, response, result)
        return result

    def _close(self, wrapped: Any, response: Any, args: Any, kwargs: Any) -> Any:
        was_read = guarded(is_read, response)
        result = wrapped(*args, **kwargs)
        guarded(closed_late, response, was_read)
        return result

    async def _async_close(self, wrapped: Any, response: Any, args: Any, kwargs: Any) -> Any:
        was_read = guarded(is_read, response)
        result = await wrapped(*args, **kwargs)
        guarded(closed_late, response, was_read)
        return result

    def _retry(self, wrapped: Any, client: Any, args: Any, kwargs: Any) -> Any:  # noqa: ARG002 - wrapt's signature
        guarded(count_retry)
        return wrapped(*args, **kwargs)


HOOKS = {library.NAME: Hooks(library) for library in (openai, anthropic)}


def below(kind: Any) -> Iterator[Any]:
    """Every class derived from this one."""
    for derived in kind.__subclasses__():
        yield derived
        yield from below(derived)


def count_retry() -> None:
    """Notes that the SDK is about to send the request of the current call again."""
    recorder = get_value(CURRENT_CALL)
    if isinstance(recorder, Recorder):
        recorder.retries += 1


def relay(events: Iterator[Any], http: Any) -> Iterator[Any]:
    """The same events; the recorder sees each before the app does, and learns how the reading ended."""
    # Looked up at the first read: the SDK makes this generator before the call returns.
    recorder = guarded(followed, http)
    if recorder is None:
        yield from events
        return
    add = guarded(recorder.first_read) or ignore
    error: BaseException | None = None
    abandoned = False
    try:
        for event in events:
            try:
                if recorder.first_chunk is None:
                    recorder.first_chunk = perf_counter()
                add(event)
            except Exception:
                log.debug("could not take in a chunk", exc_info=True)
            yield event
    except GeneratorExit:
        abandoned = True
        events.close()  # type: ignore[attr-defined]
        raise
    except BaseException as raised:
        error = raised
        raise
    finally:
        guarded(finish_stream, recorder, error, abandoned)
        error = None


async def async_relay(events: AsyncIterator[Any], http: Any) -> AsyncIterator[Any]:
    """The same for asynchronous streams."""
    recorder = guarded(followed, http)
    if recorder is None:
        async for event in events:
            yield event
        return
    add = guarded(recorder.first_read) or ignore
    error: BaseException | None = None
    abandoned = False
    try:
        async for event in events:
            try:
                if recorder.first_chunk is None:
                    recorder.first_chunk = perf_counter()
                add(event)
            except Exception:
                log.debug("could not take in a chunk", exc_info=True)
            yield event
    except GeneratorExit:
        abandoned = True
        await events.aclose()  # type: ignore[attr-defined]
        raise
    except BaseException as raised:
        error = raised
        raise
    finally:
        guarded(finish_stream, recorder, error, abandoned)
        error = None


def ignore(event: Any) -> None:
    """Takes in a chunk of a stream that cannot be recorded."""


def finish_stream(recorder: Recorder, error: BaseException | None, abandoned: bool) -> None:
    """Ends the span of a stream that was read to its end, broke, or was let go."""
    recorder.finish(None, error, abandoned=abandoned)
