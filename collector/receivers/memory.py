"""What requests in progress may hold in memory together, over HTTP and gRPC: counted while bodies are read, not after."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from ...queries.host.limits import ProjectShares
from ...queries.shares import ShareExhausted
from .rejection import RequestRejected


class RequestMemory:
    """The memory and the places of all requests; each has a `Reservation` for as long as it is in progress."""

    def __init__(self, shares: ProjectShares) -> None:
        self._bytes, self._requests = shares.inflight_bytes, shares.otlp_requests

    def reservation(self, holder: str) -> Reservation:
        """An empty reservation for `holder`, a project or "" for nobody; used with `with`, which releases all of it."""
        return Reservation(self, holder)

    def enter(self, holder: str) -> None:
        """One more request. Raises RequestRejected when there are too many."""
        try:
            self._requests.acquire(holder)
        except ShareExhausted as error:
            raise RequestRejected.busy(str(error)) from error

    def take(self, holder: str, size: int) -> None:
        """Raises RequestRejected when that is more than is left."""
        try:
            self._bytes.acquire(holder, size)
        except ShareExhausted as error:
            raise RequestRejected.busy(str(error)) from error

    def leave(self, holder: str, size: int) -> None:
        """The request has ended, and its bytes are free for others."""
        self._bytes.release(holder, size)
        self._requests.release(holder)


class Reservation:
    """One request's part."""

    def __init__(self, memory: RequestMemory, holder: str) -> None:
        self._memory, self._holder, self._size = memory, holder, 0

    def __enter__(self) -> Self:
        self._memory.enter(self._holder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._memory.leave(self._holder, self._size)

    def grow(self, more: int) -> None:
        """The request holds so many bytes more. Raises RequestRejected when there is no room for them."""
        self.resize(self._size + more)

    def resize(self, size: int) -> None:
        """The request holds at least so many bytes. Raises RequestRejected when there is no room for them."""
        if size > self._size:
            self._memory.take(self._holder, size - self._size)
            self._size = size
