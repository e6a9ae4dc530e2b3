"""Sends the answer of a statement: a plain HTTP answer when it is short or fails at once, else a stream that may end in an error."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor

from aiohttp import web

from ...errors import QueryError
from ..untrusted.execution import Reply
from .blocks import BlockCompressor
from .compression import Compressor, compressor
from .native import at_revision
from .request import MAX_BUFFER, Statement

# A short answer is waited for, so that it is one with a length and a summary, or an HTTP error.
PATIENCE_S = 0.1
# A client that reads nothing for so long is let go: it holds one of the few places for statements.
SLOWEST_READ_S = 30

_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8; header=present",
    "TabSeparatedWithNamesAndTypes": "text/tab-separated-values; charset=UTF-8; header=present",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONCompactEachRow": "application/x-ndjson; charset=UTF-8",
    "Pretty": "text/plain; charset=UTF-8",
    "Markdown": "text/markdown; charset=UTF-8",
    "XML": "application/xml; charset=UTF-8",
}


async def send(
    request: web.Request,
    statement: Statement,
    reply: Reply,
    headers: dict[str, str],
    *,
    threads: Executor,
    written_error: Callable[[QueryError], str],
) -> web.StreamResponse:
    """
    Sends what the statement yields. `written_error` writes an error as ClickHouse does.

    Raises:
        QueryError: the statement fails before anything was sent.
    """
    tag = secrets.token_hex(8)
    source = _Source(reply, statement, threads)
    try:
        begun = await source.beginning()
        headers |= {"X-ClickHouse-Exception-Tag": tag, **_about(reply, statement, complete=source.ended)}
        packer = _packer(request, statement, headers)
        response = web.StreamResponse(headers=headers)
        if source.ended:
            body = (
                b"".join([*(packer.compress(chunk) for chunk in begun), packer.flush()]) if packer else b"".join(begun)
            )
            return web.Response(body=body, headers=headers)
        await response.prepare(request)
        try:
            async for chunk in _with_error(begun, source, tag, written_error):
                await _write(response, packer.compress(chunk) if packer else chunk)
            if packer:
                await _write(response, packer.flush())
            await response.write_eof()
        except (ConnectionError, TimeoutError):
            if request.transport:
                request.transport.abort()  # the client went away or does not read
        return response
    finally:
        await source.close()


class _Source:
    """The bytes of a reply, fetched on threads: the engine blocks."""

    def __init__(self, reply: Reply, statement: Statement, threads: Executor) -> None:
        self._reply, self._statement, self._threads = reply, statement, threads
        self.ended = False

    async def beginning(self) -> list[bytes]:
        """All of a short answer; of a long one what comes within PATIENCE_S; of one that must be whole, everything."""
        loop = asyncio.get_running_loop()
        most = min(self._statement.buffer, MAX_BUFFER)
        chunks, size, until = [], 0, loop.time() + PATIENCE_S
        while (chunk := await self.next()) is not None:
            chunks.append(chunk)
            size += len(chunk)
            if not self._statement.whole and (size >= most or loop.time() > until):
                break
        return chunks

    async def next(self) -> bytes | None:
        """The next piece, None at the end."""

        def fetch() -> bytes | None:
            chunk = next(self._reply.chunks, None)
            if chunk and self._reply.format == "Native":
                return at_revision(chunk, self._statement.revision, single=not self._reply.complete)
            return chunk

        chunk = await asyncio.get_running_loop().run_in_executor(self._threads, fetch)
        self.ended = chunk is None
        return chunk

    async def close(self) -> None:
        """Stops the statement if it still runs."""
        closing = getattr(self._reply.chunks, "close", None)
        if closing:
            await asyncio.get_running_loop().run_in_executor(self._threads, closing)


async def _with_error(
    begun: list[bytes], source: _Source, tag: str, written_error: Callable[[QueryError], str]
) -> AsyncIterator[bytes]:
    for chunk in begun:
        yield chunk
    try:
        while (more := await source.next()) is not None:
            yield more
    except QueryError as error:
        message = written_error(error)
        # How ClickHouse tells of an error after the answer has begun: the header named the tag.
        yield f"\r\n__exception__\r\n{tag}\r\n{message}{len(message.encode())} {tag}\r\n__exception__\r\n".encode()


def _about(reply: Reply, statement: Statement, *, complete: bool) -> dict[str, str]:
    about = {}
    if reply.format:
        about["X-ClickHouse-Format"] = reply.format
        about["Content-Type"] = _TYPES.get(reply.format, "application/octet-stream")
    if complete:
        about["X-ClickHouse-Summary"] = json.dumps(reply.statistics.summary())
        if statement.progress:  # the engine says nothing while it runs, so there is this one, at the end
            about["X-ClickHouse-Progress"] = about["X-ClickHouse-Summary"]
    return about


def _packer(request: web.Request, statement: Statement, headers: dict[str, str]) -> Compressor | None:
    if statement.blocks:
        return BlockCompressor()
    chosen = compressor(request.headers.get("Accept-Encoding", "")) if statement.compress else None
    if chosen is None:
        return None
    headers["Content-Encoding"] = chosen[0]
    headers["Vary"] = "Accept-Encoding"
    return chosen[1]


async def _write(response: web.StreamResponse, data: bytes) -> None:
    if data:
        async with asyncio.timeout(SLOWEST_READ_S):
            await response.write(data)
