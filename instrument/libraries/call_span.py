"""When the span of one LLM call ends: one state machine, and every way into its end.

    the request raised                                   ended, with the error
    it returned a parsed result                          ended, with the result
    it returned a response whose body was read           ended, with the body
    it returned an unread response or a stream           attached to the HTTP response, until
        the app parses the response (`on_parsed`)            ended, with the result
        the app closes it (`on_closed`)                      ended, with the body if it was read, else abandoned
        the app reads the stream (`relay`)                   ended at its end, error or close
        the HTTP client releases it (`on_released`)          ended, abandoned, unless the reader is at work
        the garbage collector takes it                       ended, abandoned

A span ends once: the first way wins, in whichever thread. Whatever fails in here, the app's call goes on.
"""

from __future__ import annotations

import logging
import re
import time
import weakref
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from functools import lru_cache
from time import perf_counter
from typing import Any

from opentelemetry.context import create_key
from opentelemetry.trace import Span, Status, StatusCode

from .. import semconv
from ..content import CODE, without_content
from ..safe_call import safe_call
from ..span_attributes import write
from ..tracing import Attributes, Tracing, error_name
from .parts import parsed_body
from .surface import FAILURE, Accumulator, Failure, Surface

log = logging.getLogger(__name__)

# The span of the call that the current context is inside of.
CURRENT_CALL = create_key("evalspan.call")
# A span travels with its HTTP response, and so does the generator that reads the events (held weakly).
_CALL = "evalspan.call"
_READER = "evalspan.reader"
_kind: Callable[[Any], Hashable] = type


class CallSpan:
    """Holds the span of one call and ends it once: with a response, an error, or neither."""

    __slots__ = (
        "_open",
        "first_chunk",
        "request",
        "retries",
        "span",
        "start",
        "started",
        "stream",
        "surface",
        "tracing",
    )

    def __init__(self, tracing: Tracing, surface: Surface, span: Span, start: Attributes) -> None:
        self.tracing = tracing
        self.surface = surface
        self.span = span
        self.start = start
        self.request: Attributes = {}
        self.started = perf_counter()
        self.first_chunk: float | None = None
        self.stream: Accumulator | None = None
        self.retries = 0
        self._open = [True]

    @property
    def ended(self) -> bool:
        """Whether the span has ended."""
        return not self._open

    def describe_request(self, body: dict[str, Any]) -> None:
        """Takes down what was asked for, encoded at once: the app may change it while the call runs."""
        found = self.surface.request(body)
        if semconv.CONVERSATION_ID in self.start:
            # What the app says the session is wins over the API's own conversation.
            found.pop(semconv.CONVERSATION_ID, None)
        self.request = self.tracing.policy.sanitize(found)

    def first_read(self) -> Callable[[Any], None]:
        """What takes in the chunks of this stream; called when the app asks for the first."""
        self.stream = self.stream or self.surface.accumulator()
        return self.stream.add

    def finish(self, response: Any = None, error: BaseException | None = None, abandoned: bool = False) -> None:
        """Ends the span unless it has ended: with what is known of the response, error and stream."""
        try:
            # `pop` is atomic: a finalizer in another thread cannot end the span a second time.
            self._open.pop()
        except IndexError:
            return
        try:
            found = safe_call(self.describe_response, response) or {}
            failure = found.pop(FAILURE, None)
            if abandoned:
                found[semconv.ABANDONED] = True
            if error is not None:
                found[semconv.ERROR_TYPE] = error_name(error)
                self.fail(safe_call(self.tracing.policy.error_message, error))
            elif failure is not None:
                found[semconv.ERROR_TYPE] = safe_call(error_code, failure) or "failed"
                self.fail(safe_call(self.tracing.policy.api_message, failure.message))
            safe_call(self.write, found)
        finally:
            self.span.end()

    def fail(self, description: str | None) -> None:
        """Marks the span as failed."""
        safe_call(self.span.set_status, Status(StatusCode.ERROR, description))

    def describe_response(self, response: Any) -> Attributes:
        """What came back, whole or in pieces."""
        found: Attributes = {}
        if self.stream is not None:
            found = self.stream.attributes()
        elif response is not None:
            found = self.surface.response(response)
        if self.first_chunk is not None:
            found[semconv.TIME_TO_FIRST_CHUNK] = self.first_chunk - self.started
        if self.retries:
            found[semconv.RESEND_COUNT] = self.retries
        return self.tracing.policy.sanitize(found)

    def write(self, found: Attributes) -> None:
        """Puts everything on the span at once, and where else it was asked for."""
        tracing = self.tracing
        everything = self.request
        if semconv.TRUNCATED in everything and semconv.TRUNCATED in found:
            found[semconv.TRUNCATED] = [*everything[semconv.TRUNCATED], *found[semconv.TRUNCATED]]
        everything.update(found)
        if tracing.metrics is not None and tracing.metrics.wanted():
            tracing.metrics.record({**self.start, **everything}, time.perf_counter() - self.started)
        if tracing.event is not None:
            tracing.event(self.span, {**self.start, **everything})
        write(self.span, everything if tracing.policy.on_span else without_content(everything))


def error_code(failure: Failure) -> str:
    """The API's own code for `error.type`, unless it is no code but a text."""
    code = failure.type
    return code if isinstance(code, str) and re.fullmatch(CODE, code) else "failed"


# What the request returned


def attach(call: CallSpan, result: Any) -> None:
    """Ends the span with the result of a call, or ties it to the HTTP response when the body is yet to be read."""
    where = _holder(_kind(result))
    if where is None:
        call.finish(result)
        return
    http = getattr(result, where) if where else result
    if call.stream is None and http.is_closed:
        call.finish(body_of(http) if where != "response" else result)
        return
    http.extensions[_CALL] = call
    if call.stream is not None:
        safe_call(watch_release, http, call)
    # Whatever the app forgets to read or close ends when the response is collected.
    weakref.finalize(http, safe_call, call.finish, None, None, True).atexit = False


@lru_cache(maxsize=256)
def _holder(kind: Hashable) -> str | None:
    """Where a result of this type has its HTTP response: an attribute's name, "" for itself, None for nowhere."""
    assert isinstance(kind, type)
    names = {base.__name__ for base in kind.__mro__}
    if names & {"BaseAPIResponse", "LegacyAPIResponse"}:
        return "http_response"
    if names & {"Stream", "AsyncStream", "HttpxBinaryResponseContent"}:
        return "response"
    return "" if "Response" in names and kind.__module__.startswith("httpx") else None


def call_span_of(http: Any) -> CallSpan | None:
    """The call that an HTTP response is attached to, None when there is none or its span has ended."""
    call = http.extensions.get(_CALL)
    return call if isinstance(call, CallSpan) and not call.ended else None


# Raw responses: parsed or closed by the app


def on_parsed(response: Any, result: Any) -> None:
    """Ends the span of a raw response that the app has just parsed; a stream goes on."""
    if _CALL not in response.http_response.extensions:
        # Nearly always: the SDK parses a response before the call returns.
        return
    call = call_span_of(response.http_response)
    if call is not None and _holder(_kind(result)) != "response":
        call.stream = None
        call.finish(result)


def is_read(response: Any) -> bool:
    """Whether a response that is about to be closed was read to its end: HTTP clients close it themselves then."""
    return _holder(_kind(response)) == "http_response" and bool(response.http_response.is_closed)


def on_closed(response: Any, was_read: bool) -> None:
    """Ends the span of a response that was closed: with its body when that was read, else as abandoned."""
    http = getattr(response, "http_response", None) or response.response
    call = call_span_of(http)
    if call is not None:
        call.finish(None if call.stream is not None else body_of(http), abandoned=not was_read)


def body_of(http: Any) -> Any:
    """The JSON of a body that was read, its text when it is not JSON, None when nobody read it or it is broken."""
    try:
        raw = http.content
    except Exception:  # noqa: BLE001 - httpx and httpx2 each have their own
        return None
    kind = http.headers.get("content-type", "").partition(";")[0]
    if kind.endswith("json"):
        return safe_call(parsed_body, raw)
    return raw.decode(errors="replace") if kind.startswith("text/") else None


# Streams: read by the app through our relay


def reading(relay: Callable[[Any, Any], Any], events: Any, http: Any) -> Any:
    """The events through our relay, which the response is told of: whoever else closes it lets the stream go."""
    relayed = relay(events, http)
    http.extensions[_READER] = weakref.ref(relayed)
    return relayed


def relay(events: Iterator[Any], http: Any) -> Iterator[Any]:
    """The same events; the call's span sees each before the app does, and learns how the reading ended."""
    # Looked up at the first read: the SDK makes this generator before the call returns.
    call = safe_call(call_span_of, http)
    if call is None:
        yield from events
        return
    add = safe_call(call.first_read) or ignore
    error: BaseException | None = None
    abandoned = False
    waiting = True
    try:
        for event in events:
            try:
                if waiting:
                    call.first_chunk, waiting = perf_counter(), False
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
        safe_call(call.finish, None, error, abandoned)
        error = None


async def async_relay(events: AsyncIterator[Any], http: Any) -> AsyncIterator[Any]:
    """The same for asynchronous streams."""
    call = safe_call(call_span_of, http)
    if call is None:
        async for event in events:
            yield event
        return
    add = safe_call(call.first_read) or ignore
    error: BaseException | None = None
    abandoned = False
    waiting = True
    try:
        async for event in events:
            try:
                if waiting:
                    call.first_chunk, waiting = perf_counter(), False
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
        safe_call(call.finish, None, error, abandoned)
        error = None


def ignore(event: Any) -> None:
    """Takes in a chunk of a stream that cannot be recorded."""


# Streams: released by the HTTP client. The SDKs' helpers hold on to themselves, so nothing of them is collected when
# their block is left; a generator's own end would come much later.


def watch_release(http: Any, call: CallSpan) -> None:
    """Puts a byte stream that tells when it is closed in the place of the response's own."""
    inner = http.stream
    http.stream = _watched(_kind(inner))(inner, call, weakref.ref(http))


@lru_cache(maxsize=16)
def _watched(kind: Hashable) -> type[Any]:
    """Of the same base as the stream: the HTTP client looks whether it is a synchronous or an asynchronous one."""
    assert isinstance(kind, type)
    base = next(one for one in kind.__mro__ if one.__name__ in ("SyncByteStream", "AsyncByteStream"))
    ours = _Watched if base.__name__ == "SyncByteStream" else _AsyncWatched
    return type(ours.__name__, (ours, base), {})


class _Watched:
    def __init__(self, inner: Any, call: CallSpan, response: weakref.ref[Any]) -> None:
        self._inner, self._call, self._response = inner, call, response

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._inner)

    def close(self) -> None:
        self._inner.close()
        safe_call(on_released, self._call, self._response)


class _AsyncWatched:
    def __init__(self, inner: Any, call: CallSpan, response: weakref.ref[Any]) -> None:
        self._inner, self._call, self._response = inner, call, response

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._inner.__aiter__()  # type: ignore[no-any-return]

    async def aclose(self) -> None:
        await self._inner.aclose()
        safe_call(on_released, self._call, self._response)


def on_released(call: CallSpan, response: weakref.ref[Any]) -> None:
    """Ends the span unless the response is closed by its reader, who knows better how the stream ended."""
    http = response()
    reader = http.extensions.get(_READER) if http is not None else None
    events = reader() if reader is not None else None
    if events is not None and not (events.gi_running if hasattr(events, "gi_running") else events.ag_running):
        call.finish(None, None, abandoned=True)
