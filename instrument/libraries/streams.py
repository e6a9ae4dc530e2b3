"""Follows the streams of both SDKs: every event passes through here on its way to the app, unchanged."""

from __future__ import annotations

import logging
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from time import perf_counter
from typing import Any

from ..safe_call import guarded
from .call_span import Recorder
from .closing import READER
from .responses import followed

log = logging.getLogger(__name__)


def stream_hook(original: Any) -> Any:
    """Wraps `Stream.__stream__`."""

    def stream_events(stream: Any, *args: Any, **kwargs: Any) -> Any:
        events = original(stream, *args, **kwargs)
        return guarded(reading, relay, events, stream.response) or events

    return stream_events


def async_stream_hook(original: Any) -> Any:
    """Wraps `AsyncStream.__stream__`."""

    def stream_events(stream: Any, *args: Any, **kwargs: Any) -> Any:
        events = original(stream, *args, **kwargs)
        return guarded(reading, async_relay, events, stream.response) or events

    return stream_events


def reading(relay: Callable[[Any, Any], Any], events: Any, http: Any) -> Any:
    """The events through our relay, which the response is told of: whoever else closes it lets the stream go."""
    relayed = relay(events, http)
    http.extensions[READER] = weakref.ref(relayed)
    return relayed


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
