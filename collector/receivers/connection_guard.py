"""The door of the HTTP port: who may come in, and how long a connection may say nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ...queries.host.auth import KeyRing, is_loopback
from .http import PROJECT, refusal_response
from .rejection import PERMISSION_DENIED, Refused

OPEN_PATHS = frozenset({"/healthz", "/readyz"})

Connection = web.RequestHandler


class Guard:
    """A middleware that maps keys to projects, and a timer that closes connections that never finish a header."""

    def __init__(self, keys: KeyRing, header_timeout_s: float) -> None:
        self._keys, self._header_timeout_s = keys, header_timeout_s
        self._silent: set[Connection] = set()  # connections without a request so far

    def connections(self, server: Callable[[], Connection]) -> Callable[[], Connection]:
        """Makes the server's connections, each with a deadline for its first request."""

        def connect() -> Connection:
            connection = server()
            self._silent.add(connection)
            asyncio.get_running_loop().call_later(self._header_timeout_s, self._close_if_silent, connection)
            return connection

        return connect

    def _close_if_silent(self, connection: Connection) -> None:
        if connection in self._silent:
            self._silent.remove(connection)
            connection.force_close()

    @property
    def middleware(self) -> Middleware:
        """What every request passes first."""

        @web.middleware
        async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._silent.discard(request.protocol)
            if request.path in OPEN_PATHS:
                return await handler(request)
            try:
                request[PROJECT] = self._project(request)
            except Refused as refused:
                answer = refusal_response(refused, request.content_type)
                if refused.http_status == 401:
                    answer.headers["WWW-Authenticate"] = "Bearer"
                return answer
            return await handler(request)

        return admit

    def _project(self, request: web.Request) -> str:
        if self._keys.open and not is_loopback(_host_name(request.host)):
            # A page from elsewhere whose name was pointed at 127.0.0.1 (DNS rebinding) still sends its own name.
            raise Refused(403, PERMISSION_DENIED, f"the Host {request.host!r} is not this machine; set [auth] keys")
        if getattr(request.match_info.handler, "asks_itself", False):
            return ""  # the dashboard's pages: they know sessions, too
        project = self._keys.project(request.headers.get("Authorization"))
        if project is None:
            raise Refused.unauthenticated()
        return project


def _host_name(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
