"""Serves the SQL port: who asks, what, through the gate of queries/untrusted/sql_gate.py, in ClickHouse's HTTP protocol."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from aiohttp import web

from ...errors import EvalspanError, QueryError, UsageError
from ..shares import ShareExhausted
from ..untrusted.execution import Reply
from ..untrusted.reader import TOO_MANY_QUERIES, UntrustedReader
from ..untrusted.sql_gate import Limits
from ..untrusted.statement_settings import check_settings
from ..untrusted.syntax_tree import ACCESS_DENIED
from .access import foreign_request
from .connection_guard import ConnectionGuard
from .request import AUTHENTICATION_FAILED, MAX_BODY, Statement, credentials, read_statement
from .response import send
from .sessions import Session, Sessions, assigned, used

if TYPE_CHECKING:
    from ..host import Host

logger = logging.getLogger(__name__)

# How long the port waits for its readers when it stops, twice; then their statements are cancelled.
GRACE_S = 2
# For the commands of whoever owns the store's files: they name their own timeouts.
OWNER_LIMITS = Limits(time_s=600, memory_bytes=2 << 30, result_rows=10_000_000, result_bytes=1 << 30)
SOCKET_TIMEOUT = 209
_STATUS = {
    36: 400, 47: 400, 62: 400, 60: 404, 81: 404, 159: 408, 164: 403, 202: 503, 209: 408, 372: 404, 373: 423, 374: 400,
    497: 403, 516: 403,
}  # fmt: skip
# ClickHouse's own names of the errors that this port raises itself; clients make exception types of them.
_NAMES = {
    36: "BAD_ARGUMENTS",
    40: "CHECKSUM_DOESNT_MATCH",
    48: "NOT_IMPLEMENTED",
    62: "SYNTAX_ERROR",
    81: "UNKNOWN_DATABASE",
    164: "READONLY",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    209: "SOCKET_TIMEOUT",
    271: "CANNOT_DECOMPRESS",
    372: "SESSION_NOT_FOUND",
    373: "SESSION_IS_LOCKED",
    374: "INVALID_SESSION_TIMEOUT",
    396: "TOO_MANY_ROWS_OR_BYTES",
    497: "ACCESS_DENIED",
    516: "AUTHENTICATION_FAILED",
}


def attach(app: web.Application, host: Host, address: str, sql_port: int, *, port_was_chosen: bool) -> None:
    """Serves the port as long as the service's application runs, when the store is embedded and the port is not off."""
    if not host.store.embedded or sql_port < 0:
        return

    async def port(_: web.Application) -> AsyncIterator[None]:
        listening = SqlPort(host)
        try:
            host.sql_url = await listening.start(address, sql_port)
        except UsageError as error:
            if port_was_chosen:
                raise
            # Nobody asked for 8123, and a ClickHouse of theirs may be there: spans matter more than the number.
            host.sql_url = await listening.start(address, 0)
            logger.warning("%s It is %s instead.", error, host.sql_url)
        yield
        await listening.stop()

    app.cleanup_ctx.append(port)


class SqlPort:
    """The listening port with its threads; chDB blocks, so each running statement takes one of them."""

    longest_body = MAX_BODY

    def __init__(self, host: Host) -> None:
        location = host.store.location
        self._host = host
        self._database = location.database
        self._reader = UntrustedReader(location.path, location.database, slots=host.shares.sql_queries)
        self._sessions = Sessions(host.shares.sql_sessions)
        # A thread for each request: a statement that waits for its place must not keep another from being read out.
        self._threads = ThreadPoolExecutor(128, thread_name_prefix="sql")
        self._answering: set[asyncio.Task[web.StreamResponse]] = set()
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        limits = host.shares.config
        self._guard = ConnectionGuard(
            header_timeout_s=host.deadlines.header_s,
            max_connections=limits.sql_connections,
            max_per_peer=limits.connections_per_peer,
            files_share=0.125,
        )
        about = host.store.query("SELECT version(), timezone()").rows[0]
        self._version, self._timezone = about

    async def start(self, host: str, port: int) -> str:
        """Listens; returns the address. Raises UsageError when the port is taken."""
        app = web.Application()
        app.router.add_get("/ping", self._ping)
        app.router.add_get("/replicas_status", self._ping)
        for method in ("GET", "POST", "HEAD"):
            app.router.add_route(method, "/", self._handle)
        self._runner = web.AppRunner(
            app,
            auto_decompress=False,
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,
            shutdown_timeout=GRACE_S,
            keepalive_timeout=self._host.deadlines.idle_s,
        )
        await self._runner.setup()
        assert self._runner.server is not None
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._guard.connections(self._runner.server), host, port, backlog=256, ssl=self._host.tls
            )
        except OSError as error:
            raise UsageError(
                f"Cannot listen on {host}:{port} for SQL: {error.strerror or error}.",
                hint="Choose another port with --sql-port (0 picks a free one, -1 switches it off).",
            ) from error
        bound = self._server.sockets[0].getsockname()[1]
        scheme = "https" if self._host.tls else "http"
        return f"{scheme}://{'127.0.0.1' if host in ('', '0.0.0.0', '::') else host}:{bound}"  # noqa: S104 - compared

    async def stop(self) -> None:
        """Stops listening; what still runs, or is still read, after a moment is cancelled."""
        assert self._runner is not None
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()
        for answering in tuple(self._answering):
            await self._cancelled(answering)
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _ping(self, request: web.Request) -> web.Response:
        self._guard.has_spoken(request.protocol)
        try:
            self._refuse_strangers(request)
        except QueryError as error:
            return self._refusal(error, {})
        return web.Response(text="Ok.\n")

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {
            "X-ClickHouse-Server-Display-Name": "evalspan",
            "X-ClickHouse-Timezone": self._timezone,
            "X-Content-Type-Options": "nosniff",
        }
        self._guard.has_spoken(request.protocol)
        try:
            self._refuse_strangers(request)
            project = self._project(request)
            with self._host.shares.sql_requests.held(project or ""):
                return await self._respond(request, project, headers)
        except ShareExhausted as error:
            return self._refusal(QueryError(str(error), hint=error.hint, code=TOO_MANY_QUERIES), headers)
        except ConnectionError:
            return web.Response()  # nobody is there to read it
        except TimeoutError:
            return self._refusal(QueryError("The request did not arrive in time.", code=SOCKET_TIMEOUT), headers)
        except EvalspanError as error:
            return self._refusal(error, headers)

    async def _respond(self, request: web.Request, project: str | None, headers: dict[str, str]) -> web.StreamResponse:
        async with asyncio.timeout(self._host.deadlines.body_s):
            statement = await read_statement(request, self.longest_body)
        headers["X-ClickHouse-Query-Id"] = statement.query_id
        if not statement.query and not statement.body:
            return web.Response(text="Ok.\n", headers=headers)
        with self._sessions.of(statement, project or "") as session:
            return await self._answer_or_cancel(request, statement, session, project, headers)

    async def _answer_or_cancel(
        self, request: web.Request, statement: Statement, session: Session, project: str | None, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Answers; a statement whose client went away, or whose port stops, ends then and not at its time limit."""
        name = secrets.token_hex(8)
        answering = asyncio.create_task(self._answer(request, statement, session, project, headers, name), name=name)
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)
        connection = request.transport
        try:
            return await asyncio.shield(answering)
        except asyncio.CancelledError:
            if connection:
                connection.abort()  # closing alone waits for a client that reads nothing
            await self._cancelled(answering)
            raise

    async def _cancelled(self, answering: asyncio.Task[web.StreamResponse]) -> None:
        """Cancels until it has ended: what was still on its way to the engine is not found there the first time."""
        while not answering.done():
            await asyncio.to_thread(self._reader.cancel, answering.get_name())
            await asyncio.wait([answering], timeout=0.2)
        if not answering.cancelled():
            answering.exception()  # its refusal has no reader any more

    async def _answer(
        self,
        request: web.Request,
        statement: Statement,
        session: Session,
        project: str | None,
        headers: dict[str, str],
        name: str,
    ) -> web.StreamResponse:
        if self._kept(statement, session):
            return web.Response(headers={**headers, "X-ClickHouse-Summary": "{}"})
        owner = self._is_owner(request)
        with self._host.telemetry.timed("query_duration_seconds"):
            reply = await asyncio.get_running_loop().run_in_executor(
                self._threads, lambda: self._run(statement, session, project, name, owner=owner)
            )
        return await send(request, statement, reply, headers, threads=self._threads, written_error=self._message)

    def _run(self, statement: Statement, session: Session, project: str | None, name: str, *, owner: bool) -> Reply:
        database = statement.database or session.database
        if database not in ("", "default", "__default__", self._database):
            raise QueryError(f"Database {database} does not exist.", code=81)
        return self._reader.run(
            statement.sql,
            format_=statement.format,
            parameters=statement.parameters,
            settings={**session.settings, **statement.settings},
            project=project,
            limits=OWNER_LIMITS if owner else Limits(),
            tables=statement.tables,
            name=name,
        )

    def _kept(self, statement: Statement, session: Session) -> bool:
        if database := used(statement.sql):
            if database not in ("default", self._database):
                raise QueryError(f"Database {database} does not exist.", code=81)
            session.database = database
            return True
        values = assigned(statement.sql)
        if values is None:
            return False
        check_settings(values)
        check_settings({**session.settings, **values})
        session.settings.update(values)
        return True

    def _refuse_strangers(self, request: web.Request) -> None:
        refusal = foreign_request(request, self._host.proxies, keys_set=not self._host.keys.open)
        if refusal:
            raise QueryError(refusal, hint="Ask with a program, or set [auth] keys.", code=ACCESS_DENIED)

    def _is_owner(self, request: web.Request) -> bool:
        return self._host.keys.is_service(f"Bearer {credentials(request).password}")

    def _project(self, request: web.Request) -> str | None:
        """The one project that may be seen, or None for all. Raises QueryError 516 for a wrong key."""
        access = self._host.keys.access(f"Bearer {credentials(request).password}")
        if access is None:
            raise QueryError(
                "Authentication failed: the password is none of the keys.",
                hint="Give one of [auth] keys as the password, any user.",
                code=AUTHENTICATION_FAILED,
            )
        return access.scope

    def _refusal(self, error: EvalspanError, headers: dict[str, str]) -> web.Response:
        code = error.code if isinstance(error, QueryError) and error.code else 1002
        return web.Response(
            status=_STATUS.get(code, 500),
            text=self._message(error),
            headers={**headers, "X-ClickHouse-Exception-Code": str(code)},
        )

    def _message(self, error: EvalspanError) -> str:
        code = error.code if isinstance(error, QueryError) and error.code else 1002
        hint = f" {error.hint}" if error.hint else ""
        name = f" ({_NAMES[code]})" if code in _NAMES and not str(error).endswith(")") else ""
        return f"Code: {code}. DB::Exception: {error}{hint}{name} (version {self._version})\n"
