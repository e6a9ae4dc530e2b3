"""Remembers what was accepted lately: a client that repeats a request, because our answer got lost, is stored once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

Key = tuple[str, int, int]


class RecentRequests:
    """The newest `capacity` requests; a repeated one shares the fate of the first."""

    def __init__(self, capacity: int = 16_384) -> None:
        self._capacity = capacity
        self._durable: OrderedDict[Key, asyncio.Future[None] | None] = OrderedDict()  # None: it is on disk

    @staticmethod
    def key(body: bytes, project: str) -> Key:
        """Python's hash of bytes is SipHash with a secret key: nobody outside can make two bodies collide."""
        return project, hash(body), len(body)

    def remember(self, key: Key) -> None:
        """The request is durable."""
        self._durable[key] = None
        self._durable.move_to_end(key)
        while len(self._durable) > self._capacity:
            self._durable.popitem(last=False)

    def begin(self, key: Key) -> asyncio.Future[None] | None:
        """None when the request is new: then `finish` must follow. Else what tells when the first one is durable."""
        if key in self._durable:
            earlier = self._durable[key]
            if earlier is None:
                earlier = asyncio.get_running_loop().create_future()
                earlier.set_result(None)
            return earlier
        self._durable[key] = asyncio.get_running_loop().create_future()
        return None

    def finish(self, key: Key, error: BaseException | None) -> None:
        """The new request is durable, or failed with `error` and is forgotten."""
        future = self._durable.pop(key, None)
        if error is None:
            self.remember(key)
        if future is None or future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error if isinstance(error, Exception) else ConnectionAbortedError())
            future.exception()  # whether anybody waits for it or not
