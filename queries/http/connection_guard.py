"""Bounds what connections may cost before a request is read, the same for every HTTP port: how many, from whom, how long silent."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Callable

from aiohttp import web

Connection = web.RequestHandler
# How soon a connection shows who its peer is; over TLS that takes the handshake.
_LOOK_AGAIN_S = 0.05


class ConnectionGuard:
    """Closes connections that never finish a header, and those beyond a number, in all and from one address."""

    def __init__(self, *, header_timeout_s: float, max_connections: int, max_per_peer: int, files_share: float) -> None:
        """`files_share` is the part of the process's open files that the connections may take, 0 to 1."""
        self._header_timeout_s = header_timeout_s
        self._max = connections_within(max_connections, files_share)
        self._max_per_peer = max(1, min(max_per_peer, self._max))
        self._silent: set[Connection] = set()  # connections without a request so far
        self._open: dict[Connection, str] = {}
        self.refused = 0
        """Connections that were closed because there were too many."""

    def connections(self, server: Callable[[], Connection]) -> Callable[[], Connection]:
        """Makes the server's connections."""

        def connect() -> Connection:
            connection = server()
            loop = asyncio.get_running_loop()
            self._silent.add(connection)
            loop.call_later(self._header_timeout_s, self._close_if_silent, connection)
            loop.call_later(0, self._count, connection, loop.time() + self._header_timeout_s)
            return connection

        return connect

    def has_spoken(self, connection: Connection) -> None:
        """A request came."""
        self._silent.discard(connection)

    def _close_if_silent(self, connection: Connection) -> None:
        if connection in self._silent:
            self._silent.remove(connection)
            connection.force_close()

    def _count(self, connection: Connection, until: float) -> None:
        transport = connection.transport
        if transport is None:  # not connected yet, or gone already
            loop = asyncio.get_running_loop()
            if loop.time() < until:
                loop.call_later(_LOOK_AGAIN_S, self._count, connection, until)
            return
        name = transport.get_extra_info("peername")
        peer = str(name[0]) if isinstance(name, tuple) else ""
        self._open[connection] = peer
        if self._too_many(peer):
            self.refused += 1
            del self._open[connection]
            self._silent.discard(connection)
            transport.abort()

    def _too_many(self, peer: str) -> bool:
        if len(self._open) <= self._max_per_peer:
            return False
        # Only now: those that ended are still in the table.
        self._open = {each: who for each, who in self._open.items() if each.transport is not None}
        counts = Counter(self._open.values())
        return len(self._open) > self._max or counts[peer] > self._max_per_peer


def connections_within(most: int, files_share: float) -> int:
    """So many connections, or fewer where they would take more than this part of the files that the process may open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    fitting = most if files == resource.RLIM_INFINITY else int(files * files_share)
    return max(1, min(most, fitting))


def raise_file_limit(most: int = 65_536) -> None:
    """Lets the process open as many files as it may: each connection and each part of the store takes some."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
