"""The end of a call whose body is read later, or handed out raw: where the response is, and when it is complete."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any

from ..safe_call import guarded
from .call_span import Recorder
from .closing import watch
from .parts import parsed_body

# The recorder travels with the HTTP response, under this key of its extensions.
_KEY = "evalspan.recorder"
_kind: Callable[[Any], Hashable] = type


def follow(recorder: Recorder, result: Any) -> None:
    """Ends the span with the result of a call, or ties it to the HTTP response when the body is yet to be read."""
    where = _holder(_kind(result))
    if where is None:
        recorder.finish(result)
        return
    http = getattr(result, where) if where else result
    if recorder.stream is None and http.is_closed:
        recorder.finish(body_of(http) if where != "response" else result)
        return
    http.extensions[_KEY] = recorder
    if recorder.stream is not None:
        guarded(watch, http, recorder)
    # Whatever the app forgets to read or close ends when the response is collected.
    weakref.finalize(http, guarded, recorder.finish, None, None, True).atexit = False


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


def followed(http: Any) -> Recorder | None:
    """The recorder that follows an HTTP response, None when there is none or its span has ended."""
    recorder = http.extensions.get(_KEY)
    return recorder if isinstance(recorder, Recorder) and not recorder.ended else None


def parsed_late(response: Any, result: Any) -> None:
    """Ends the span of a raw response that the app has just parsed; a stream goes on."""
    if _KEY not in response.http_response.extensions:
        # Nearly always: the SDK parses a response before the call returns.
        return
    recorder = followed(response.http_response)
    if recorder is not None and _holder(_kind(result)) != "response":
        recorder.stream = None
        recorder.finish(result)


def is_read(response: Any) -> bool:
    """Whether a response that is about to be closed was read to its end: HTTP clients close it themselves then."""
    return _holder(_kind(response)) == "http_response" and bool(response.http_response.is_closed)


def closed_late(response: Any, was_read: bool) -> None:
    """Ends the span of a response that was closed: with its body when that was read, else as abandoned."""
    http = getattr(response, "http_response", None) or response.response
    recorder = followed(http)
    if recorder is not None:
        recorder.finish(None if recorder.stream is not None else body_of(http), abandoned=not was_read)


def body_of(http: Any) -> Any:
    """The JSON of a body that was read, its text when it is not JSON, None when nobody read it or it is broken."""
    try:
        raw = http.content
    except Exception:  # noqa: BLE001 - httpx and httpx2 each have their own
        return None
    kind = http.headers.get("content-type", "").partition(";")[0]
    if kind.endswith("json"):
        return guarded(parsed_body, raw)
    return raw.decode(errors="replace") if kind.startswith("text/") else None
