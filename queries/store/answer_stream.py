"""A server's answer as it comes: an error after its first rows, or an answer that breaks off, is an error and never data."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import closing
from typing import Any

from ...errors import QueryError, StoreUnreachable
from .engine import first_line

BLOCK = 1 << 20
# The end of an answer is looked at before it is given out: servers write an error behind the rows that they have sent.
_TAIL = 1 << 16
_ERROR = re.compile(rb"Code: (\d+)\. (?:DB::Exception: )?(.*)", re.DOTALL)


def blocks_of(stream: Any) -> Generator[bytes]:
    """
    A block at a time; the connection is given back at the end.

    Since 25.11 ClickHouse names a tag in a header and frames the error with it; before, it writes the error and cuts the
    connection. Text of the data that only looks like an error stays data.

    Raises:
        QueryError: the statement failed after its first rows.
        StoreUnreachable: the answer broke off and does not say why.
    """
    from urllib3.exceptions import HTTPError

    tag = stream.headers.get("X-ClickHouse-Exception-Tag", "").encode()
    held = bytearray()
    with closing(stream):
        while True:
            try:
                block = stream.read1(BLOCK)  # what is there: `read` would lose what came before a break
            except (HTTPError, OSError) as error:
                raise _broken_off(bytes(held), tag, error) from error
            if not block:
                break
            held += block
            if len(held) > BLOCK + _TAIL:
                yield bytes(held[:-_TAIL])
                del held[:-_TAIL]
    if tag and (failed := _framed(bytes(held), tag)):
        raise failed
    if held:
        yield bytes(held)


def _framed(held: bytes, tag: bytes) -> QueryError | None:
    end = re.search(rb"(\d+) " + re.escape(tag) + rb"\r?\n?__exception__\s*\Z", held)
    if end is None:
        return None
    begin = held.rfind(b"__exception__", 0, end.start())
    return _query_error(held[max(begin, 0) : end.start()])


def _broken_off(held: bytes, tag: bytes, error: Exception) -> QueryError | StoreUnreachable:
    if tag and (failed := _framed(held, tag)):
        return failed
    begin = max(held.rfind(b"__exception__"), held.rfind(b"\nCode: "))
    if (begin >= 0 or held.startswith(b"Code: ")) and _ERROR.search(held, max(begin, 0)):
        return _query_error(held[max(begin, 0) :])
    return StoreUnreachable(f"The store's answer broke off: {error}.", hint="Is it running? `evalspan status`")


def _query_error(frame: bytes) -> QueryError:
    found = _ERROR.search(frame)
    if found is None:
        return QueryError("The statement failed after its first rows, and ClickHouse does not say why.")
    return QueryError(first_line(found.group().decode(errors="replace")), code=int(found.group(1)))
