"""Ends the span of a stream whose HTTP response is closed before its end, as the SDKs' helpers do when their block is left.

The helpers hold on to themselves, so nothing of them is collected then: a generator's own end would come much later.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from functools import lru_cache
from typing import Any

from ..safe_call import guarded
from .call_span import Recorder

# Who reads the response's events, under this key of its extensions: our generator, held weakly.
READER = "evalspan.reader"
_kind: Callable[[Any], Hashable] = type


def watch(http: Any, recorder: Recorder) -> None:
    """Puts a byte stream that tells when it is closed in the place of the response's own."""
    inner = http.stream
    http.stream = _watched(_kind(inner))(inner, recorder, weakref.ref(http))


@lru_cache(maxsize=16)
def _watched(kind: Hashable) -> type[Any]:
    """Of the same base as the stream: the HTTP client looks whether it is a synchronous or an asynchronous one."""
    assert isinstance(kind, type)
    base = next(one for one in kind.__mro__ if one.__name__ in ("SyncByteStream", "AsyncByteStream"))
    ours = _Watched if base.__name__ == "SyncByteStream" else _AsyncWatched
    return type(ours.__name__, (ours, base), {})


class _Watched:
    def __init__(self, inner: Any, recorder: Recorder, response: weakref.ref[Any]) -> None:
        self._inner, self._recorder, self._response = inner, recorder, response

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._inner)

    def close(self) -> None:
        self._inner.close()
        guarded(let_go, self._recorder, self._response)


class _AsyncWatched:
    def __init__(self, inner: Any, recorder: Recorder, response: weakref.ref[Any]) -> None:
        self._inner, self._recorder, self._response = inner, recorder, response

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._inner.__aiter__()  # type: ignore[no-any-return]

    async def aclose(self) -> None:
        await self._inner.aclose()
        guarded(let_go, self._recorder, self._response)


def let_go(recorder: Recorder, response: weakref.ref[Any]) -> None:
    """Ends the span unless the response is closed by its reader, who knows better how the stream ended."""
    http = response()
    reader = http.extensions.get(READER) if http is not None else None
    events = reader() if reader is not None else None
    if events is not None and not (events.gi_running if hasattr(events, "gi_running") else events.ag_running):
        recorder.finish(None, None, abandoned=True)
