"""Replays a model's recorded answer at the point where the request leaves for the network, keyed by what is sent.

The app's own code always runs: only the answer of a recognised model request is replayed, and only when method, URL,
headers and body (so model, prompt and sampling parameters too) are the same. Everything else goes to the network.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import msgspec

from .import_hooks import when_imported
from .replayable import is_model_request, is_usable_answer

# Headers that say who asks, when or through which software, and not what is asked.
_NOT_PART_OF_THE_QUESTION = frozenset(
    {
        "authorization", "api-key", "x-api-key", "x-goog-api-key", "proxy-authorization", "cookie",
        "user-agent", "accept-encoding", "connection", "content-length", "date", "host", "idempotency-key",
        "traceparent", "tracestate", "baggage", "x-request-id", "x-client-request-id",
    }
)  # fmt: skip
_VOLATILE_PREFIXES = ("x-stainless-", "x-datadog-", "x-b3-")


class RecordedAnswer(msgspec.Struct, frozen=True):
    """An HTTP answer as it came over the wire, still compressed if it was."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    duration_s: float
    """From sending the request to the last byte."""
    received_at: str
    """ISO 8601, UTC."""


class ReplayScope:
    """The model requests of one piece of work, for example one case: what was replayed and what came new.

    `read` looks an answer up by key. New answers wait in `pending` until `commit`: work that fails keeps nothing.
    """

    def __init__(self, read: Callable[[str], bytes | None], sample: str = "") -> None:
        self._read = read
        self._sample = sample
        self._count: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._pending: dict[str, bytes] = {}
        self.replayed_s = 0.0
        """What the replayed answers took when they were first given, in seconds."""
        self.replayed_at = ""
        """When the newest replayed answer was first given; '' when none was replayed."""
        self.sent = 0
        """Recognised requests that went to the network."""

    def key(self, request: Any) -> str | None:
        """The key of this request, None when it is not a model request whose answer can be replayed.

        The second identical request of one scope is another sample of the model and has its own key.
        """
        body = _content(request)
        if body is None or not is_model_request(request.method, request.url.path, body):
            return None
        headers = sorted((name, value) for name, value in request.headers.multi_items() if _is_asked(name))
        question = msgspec.json.encode([request.method, str(request.url), headers, body])
        digest = hashlib.sha256(question).hexdigest()
        with self._lock:
            self._count[digest] += 1
            number = self._count[digest]
        return hashlib.sha256(f"{digest} {number} {self._sample}".encode()).hexdigest()

    def find(self, key: str) -> RecordedAnswer | None:
        """The recorded answer, None when there is none or its record is damaged."""
        kept = self._read(key)
        if kept is None:
            return None
        try:
            answer = msgspec.msgpack.decode(kept, type=RecordedAnswer)
        except msgspec.DecodeError:
            return None
        with self._lock:
            self.replayed_s += answer.duration_s
            self.replayed_at = max(self.replayed_at, answer.received_at)
        return answer

    def record(self, key: str, answer: RecordedAnswer) -> None:
        """Holds an answer for `commit`."""
        with self._lock:
            self._pending[key] = msgspec.msgpack.encode(answer)

    def commit(self, write: Callable[[str, bytes], None]) -> None:
        """Writes the new answers; call it when the work that they were for succeeded."""
        with self._lock:
            pending, self._pending = self._pending, {}
        for key, answer in pending.items():
            write(key, answer)


_scope: ContextVar[ReplayScope | None] = ContextVar("evalspan_replay_scope", default=None)
_installed = False


@contextmanager
def replaying(scope: ReplayScope | None) -> Iterator[None]:
    """Replays and records the model requests made inside; None for requests that always go to the network.

    Threads see the scope when they run in a copy of this context (`asyncio.to_thread`); others ask the network.
    """
    if scope is not None:
        _install()
    token = _scope.set(scope)
    try:
        yield
    finally:
        _scope.reset(token)


def _install() -> None:
    """Puts the hooks into httpx and httpx2, now or when it is imported. They do nothing outside a scope."""
    global _installed
    if not _installed:
        _installed = True
        for client in ("httpx", "httpx2"):
            when_imported(client, _hook_transports)


def _hook_transports(httpx: Any) -> None:
    recorder, async_recorder = _recorders(httpx)

    def sync_hook(original: Any) -> Any:
        def handle_request(transport: Any, request: Any) -> Any:
            scope = _scope.get()
            key = scope.key(request) if scope is not None else None
            if scope is None or key is None:
                return original(transport, request)
            if (found := scope.find(key)) is not None:
                return _replayed(httpx, found)
            scope.sent += 1
            started = time.perf_counter()
            response = original(transport, request)
            response.stream = recorder(response, scope, key, started)
            return response

        return handle_request

    def async_hook(original: Any) -> Any:
        async def handle_async_request(transport: Any, request: Any) -> Any:
            scope = _scope.get()
            key = scope.key(request) if scope is not None else None
            if scope is None or key is None:
                return await original(transport, request)
            if (found := scope.find(key)) is not None:
                return _replayed(httpx, found)
            scope.sent += 1
            started = time.perf_counter()
            response = await original(transport, request)
            response.stream = async_recorder(response, scope, key, started)
            return response

        return handle_async_request

    # Only the transports that go to the network: a mock or a custom transport is code of the app, and runs.
    httpx.HTTPTransport.handle_request = sync_hook(httpx.HTTPTransport.handle_request)
    httpx.AsyncHTTPTransport.handle_async_request = async_hook(httpx.AsyncHTTPTransport.handle_async_request)


def _recorders(httpx: Any) -> tuple[type, type]:
    """The two stream classes that pass an answer on and record it once it is complete."""

    class _Recording:
        def __init__(self, response: Any, scope: ReplayScope, key: str, started: float) -> None:
            self._response, self._stream = response, response.stream
            self._scope, self._key, self._started = scope, key, started
            self._chunks: list[bytes] = []
            self._recorded = False

        def _complete(self) -> None:
            """Also when it is closed early: the SDKs stop reading a stream at its last event."""
            if self._recorded:
                return
            self._recorded = True
            answer = RecordedAnswer(
                self._response.status_code,
                [(name, value) for name, value in self._response.headers.raw if name.lower() != b"set-cookie"],
                b"".join(self._chunks),
                time.perf_counter() - self._started,
                datetime.now(UTC).isoformat(timespec="milliseconds"),
            )
            if _is_kept(httpx, answer):
                self._scope.record(self._key, answer)

    class RecordingStream(_Recording, httpx.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            for chunk in self._stream:
                self._chunks.append(chunk)
                yield chunk
            self._complete()

        def close(self) -> None:
            self._complete()
            self._stream.close()

    class AsyncRecordingStream(_Recording, httpx.AsyncByteStream):  # type: ignore[misc]
        async def __aiter__(self) -> Any:
            async for chunk in self._stream:
                self._chunks.append(chunk)
                yield chunk
            self._complete()

        async def aclose(self) -> None:
            self._complete()
            await self._stream.aclose()

    return RecordingStream, AsyncRecordingStream


def _replayed(httpx: Any, answer: RecordedAnswer) -> Any:
    return httpx.Response(answer.status, headers=answer.headers, stream=httpx.ByteStream(answer.body))


def _is_kept(httpx: Any, answer: RecordedAnswer) -> bool:
    try:
        whole = httpx.Response(answer.status, headers=answer.headers, content=answer.body)
        return is_usable_answer(answer.status, whole.headers.get("content-type", ""), whole.content)
    except Exception:  # noqa: BLE001 - an answer that cannot be read is the app's to complain about, not ours to keep
        return False


def _content(request: Any) -> bytes | None:
    """The body, None for one that is sent from a stream and cannot be read twice."""
    try:
        content = request.content
    except Exception:  # noqa: BLE001 - httpx.RequestNotRead, which cannot be named without importing httpx
        return None
    return content if isinstance(content, bytes) else None


def _is_asked(name: str) -> bool:
    lower = name.lower()
    return lower not in _NOT_PART_OF_THE_QUESTION and not lower.startswith(_VOLATILE_PREFIXES)
