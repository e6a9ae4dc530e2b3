"""The hooks: both SDKs send every call through their base client's `request` and every stream through `__stream__`.

Whatever fails in here, the call goes on as if it were not there: the wrappers guard each step they add.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from importlib import import_module
from typing import Any

from opentelemetry.context import get_value

from ..current_context import reset
from ..import_hooks import when_imported
from ..safe_call import safe_call
from ..tracing import Tracing
from .anthropic import calls as anthropic
from .anthropic.native_spans import suppress_native_span
from .call_span import CURRENT_CALL, CallSpan, async_relay, attach, is_read, on_closed, on_parsed, reading, relay
from .call_start import enter
from .coexistence import traced_by_another
from .openai import calls as openai
from .surface import Library

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
            when_imported(self.library.NAME, self._imported)

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
            traced_by_another(self.library.NAME)  # says so now, not at the first call
        except Exception as error:  # noqa: BLE001 - whatever it is, the import goes on
            self.deactivate()
            version = getattr(module, "__version__", "unknown")
            log.warning("evalspan cannot trace %s %s (%s); its calls are left alone", module.__name__, version, error)

    def _place(self, package: str) -> None:
        client, streaming = import_module(f"{package}._base_client"), import_module(f"{package}._streaming")
        self._wrap(client.SyncAPIClient, "request", self._request)
        self._wrap(client.AsyncAPIClient, "request", self._async_request)
        self._wrap(streaming.Stream, "__stream__", stream_hook)
        self._wrap(streaming.AsyncStream, "__stream__", async_stream_hook)
        self._wrap(streaming.Stream, "close", close_hook)
        self._wrap(streaming.AsyncStream, "close", async_close_hook)
        for kind in (client.SyncAPIClient, client.AsyncAPIClient):
            # Older releases have it under the second name.
            name = "_sleep_for_retry" if "_sleep_for_retry" in vars(kind) else "_retry_request"
            self._wrap(kind, name, retry_hook, optional=True)
        response = import_module(f"{package}._response")
        self._wrap(response.BaseAPIResponse, "_parse", parse_hook)
        self._wrap(response.APIResponse, "close", close_hook)
        self._wrap(response.AsyncAPIResponse, "close", async_close_hook)
        if package == openai.NAME:
            legacy = import_module(f"{package}._legacy_response")
            self._wrap(legacy.LegacyAPIResponse, "_parse", parse_hook)
            if (others := sys.modules.get("opentelemetry.instrumentation.instrumentor")) is not None:
                self._wrap(others.BaseInstrumentor, "uninstrument", self._another_leaves)
        else:
            self._wrap(client, "start_api_call_span", suppress_native_span, optional=True)

    def _wrap(self, owner: Any, name: str, hook: Callable[[Any], Any], *, optional: bool = False) -> None:
        original = vars(owner).get(name)
        if original is None:
            if optional:
                return
            raise AttributeError(f"{owner.__name__} has no {name}")
        # A plain function around the original: wrapt's proxies would cost every call twice as much.
        placed = wraps(original)(hook(original))
        setattr(owner, name, placed)
        self._placed.append((owner, name, original, placed))

    def _another_leaves(self, original: Any) -> Any:
        def uninstrument(instrumentor: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(instrumentor, *args, **kwargs)
            safe_call(self.uncover)
            return result

        return uninstrument

    def uncover(self) -> None:
        """Takes away bare functions that another instrumentation, leaving, put in front of our wrappers.

        OpenInference wraps `OpenAI.request`, below our hook; switched on before us, it restores a function without it.
        """
        for owner, name, original, _ in self._placed:
            for kind in below(owner) if isinstance(owner, type) else ():
                if vars(kind).get(name) is original:
                    delattr(kind, name)

    def _request(self, original: Any) -> Any:
        def request(client: Any, *args: Any, **kwargs: Any) -> Any:
            entered = safe_call(enter, self.library, self.tracing, client, args, kwargs)
            if entered is None:
                return original(client, *args, **kwargs)
            call, token = entered
            try:
                result = original(client, *args, **kwargs)
            except BaseException as error:
                safe_call(reset, token)
                safe_call(call.finish, None, error)
                raise
            safe_call(reset, token)
            safe_call(attach, call, result)
            return result

        return request

    def _async_request(self, original: Any) -> Any:
        async def request(client: Any, *args: Any, **kwargs: Any) -> Any:
            entered = safe_call(enter, self.library, self.tracing, client, args, kwargs)
            if entered is None:
                return await original(client, *args, **kwargs)
            call, token = entered
            try:
                result = await original(client, *args, **kwargs)
            except BaseException as error:
                safe_call(reset, token)
                safe_call(call.finish, None, error)
                raise
            safe_call(reset, token)
            safe_call(attach, call, result)
            return result

        return request


def stream_hook(original: Any) -> Any:
    """Wraps `Stream.__stream__`: every event passes through our relay on its way to the app, unchanged."""

    def stream_events(stream: Any, *args: Any, **kwargs: Any) -> Any:
        events = original(stream, *args, **kwargs)
        return safe_call(reading, relay, events, stream.response) or events

    return stream_events


def async_stream_hook(original: Any) -> Any:
    """Wraps `AsyncStream.__stream__`."""

    def stream_events(stream: Any, *args: Any, **kwargs: Any) -> Any:
        events = original(stream, *args, **kwargs)
        return safe_call(reading, async_relay, events, stream.response) or events

    return stream_events


def parse_hook(original: Any) -> Any:
    """Wraps the parsing of a response, which the app may do long after the call."""

    def parse(response: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(response, *args, **kwargs)
        safe_call(on_parsed, response, result)
        return result

    return parse


def close_hook(original: Any) -> Any:
    """Wraps `close` of a stream or a raw response."""

    def close(response: Any, *args: Any, **kwargs: Any) -> Any:
        was_read = safe_call(is_read, response)
        result = original(response, *args, **kwargs)
        safe_call(on_closed, response, was_read)
        return result

    return close


def async_close_hook(original: Any) -> Any:
    """The same for asynchronous ones."""

    async def close(response: Any, *args: Any, **kwargs: Any) -> Any:
        was_read = safe_call(is_read, response)
        result = await original(response, *args, **kwargs)
        safe_call(on_closed, response, was_read)
        return result

    return close


def retry_hook(original: Any) -> Any:
    """Wraps what the SDK does before it sends a request again."""

    def retry(client: Any, *args: Any, **kwargs: Any) -> Any:
        safe_call(count_retry)
        return original(client, *args, **kwargs)

    return retry


HOOKS = {library.NAME: Hooks(library) for library in (openai, anthropic)}


def below(kind: Any) -> Iterator[Any]:
    """Every class derived from this one."""
    for derived in kind.__subclasses__():
        yield derived
        yield from below(derived)


def count_retry() -> None:
    """Notes that the SDK is about to send the request of the current call again."""
    call = get_value(CURRENT_CALL)
    if isinstance(call, CallSpan):
        call.retries += 1
