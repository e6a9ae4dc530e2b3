"""What requests in progress may hold in memory together, over HTTP and gRPC: counted while bodies are read, not after."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from .rejection import Refused


class RequestMemory:
    """`limit` bytes for all requests; each has a `Share` of them for as long as it is in progress."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0

    def share(self) -> Share:
        """An empty share; used with `with`, which gives everything back."""
        return Share(self)

    def take(self, size: int) -> None:
        """Raises Refused when that is more than is left."""
        if self._held + size > self._limit:
            raise Refused.busy(
                "the requests in progress fill the memory set aside for them ([receive] max_inflight_bytes)"
            )
        self._held += size

    def give_back(self, size: int) -> None:
        """The bytes are free for others."""
        self._held -= size


class Share:
    """One request's part."""

    def __init__(self, memory: RequestMemory) -> None:
        self._memory, self._size = memory, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._memory.give_back(self._size)

    def grow_to(self, size: int) -> None:
        """The request holds so many bytes. Raises Refused when there is no room for them."""
        if size > self._size:
            self._memory.take(size - self._size)
            self._size = size
