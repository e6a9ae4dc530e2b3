"""Parses bodies beside the event loop, small ones apart from large ones, after counting what would become of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from google.protobuf.message import DecodeError

from .element_count import (
    BYTES_PER_ELEMENT,
    BYTES_PER_JSON_ELEMENT,
    SMALL_BODY,
    TooManyElements,
    count_json,
    count_protobuf,
)
from .memory import Reservation
from .rejection import RequestRejected

T = TypeVar("T")

# Parsed where the request is: going to a thread and back takes longer.
TINY_BODY = 8 * 1024
SMALL_THREADS, LARGE_THREADS = 4, 1


class BodyParser:
    """Threads for parsing. Large bodies have one of their own, so that small ones never wait for them."""

    def __init__(self) -> None:
        self._small = ThreadPoolExecutor(SMALL_THREADS, thread_name_prefix="parse")
        self._large = ThreadPoolExecutor(LARGE_THREADS, thread_name_prefix="parse-large")

    async def run(self, body: bytes, signal: str, reservation: Reservation, parse: Callable[[], T], *, json: bool) -> T:
        """
        What `parse` returns, once the body is known to be of a size that it may have.

        Raises:
            RequestRejected: the body has too many elements, memory is short, or `parse` refuses it.
        """
        if len(body) <= TINY_BODY:
            return parse()

        def work() -> T | RequestRejected:
            try:
                if len(body) > SMALL_BODY:
                    reserve(body, signal, reservation, json=json)
                return parse()
            except RequestRejected as rejected:
                # As a value: a future and the frames that wait for its exception hold each other, and with them the body,
                # until the garbage collector comes by, which nothing tells how large that is.
                return rejected.without_frames()

        threads = self._small if len(body) <= SMALL_BODY else self._large
        outcome = await _outcome(asyncio.get_running_loop().run_in_executor(threads, work))
        if not isinstance(outcome, RequestRejected):
            return outcome
        try:
            raise outcome
        finally:
            del outcome

    def close(self) -> None:
        """Ends the threads once what they do is done."""
        self._small.shutdown(wait=False, cancel_futures=True)
        self._large.shutdown(wait=False, cancel_futures=True)


async def _outcome(future: asyncio.Future[T]) -> T:
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])  # until then it holds what is reserved
        raise


def reserve(body: bytes, signal: str, reservation: Reservation, *, json: bool) -> None:
    """
    Counts the elements and reserves the memory that they will take.

    Raises:
        RequestRejected: there are too many, or there is no room for them now.
    """
    try:
        count = count_json(body) if json else count_protobuf(body, signal)
    except TooManyElements as error:
        raise RequestRejected.too_large(f"{error}; send fewer at once") from error
    except DecodeError:
        return  # the parser itself says what is wrong
    reservation.grow(count * (BYTES_PER_JSON_ELEMENT if json else BYTES_PER_ELEMENT))
