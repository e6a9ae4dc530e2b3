"""A ClickHouse-like HTTP server for tests alone: the SQL port itself, with writes allowed and without its gate.

    python tests/queries/writable_server.py DIRECTORY [PORT]

Prints its address and serves until its standard input is closed. It stands in for a ClickHouse server where the code
under test talks to one: no gate, no limits. "writer" with the password "pass word", or "default" with none, may do
everything; "reader" with "pass word" may only read.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import chdb
from aiohttp import web

from evalspan.errors import QueryError
from evalspan.queries.host.auth import AuthConfig, KeyRing
from evalspan.queries.host.limits import Deadlines, ProjectShares
from evalspan.queries.host.origin import TrustedProxies
from evalspan.queries.host.telemetry import Telemetry
from evalspan.queries.http.request import Statement, credentials
from evalspan.queries.http.server import SqlPort
from evalspan.queries.http.sessions import Session
from evalspan.queries.untrusted.execution import STREAMED, QueryExecution, Rejoined, Reply, Statistics, engine_errors
from evalspan.queries.untrusted.external_tables import fill

INSERT = re.compile(rb"^\s*(INSERT\s+INTO\s+.+?)\s+FORMAT\s+(\w+)\s*?(?:\n|\s*$)(.*)$", re.IGNORECASE | re.DOTALL)
STREAM = re.compile(r"\binput\('([^']*)'\)")  # chDB finds no rows in the data behind such a statement
RESULT = re.compile(r"^[\s(]*(SELECT|WITH|SHOW|DESC|DESCRIBE|EXPLAIN|EXISTS|FROM)\b", re.IGNORECASE)
COMMENT = re.compile(r"^\s*(--.*?\n|/\*.*?\*/)", re.DOTALL)
FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)


class WritableServer(SqlPort):
    """Each statement has a handle of its own, or that of its session."""

    longest_body = 1 << 30

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._keep = chdb.connect(directory)  # type: ignore[no-untyped-call] # the engine stops with its last handle
        version = str(self._keep.query("SELECT version()", "TSVRaw")).strip()
        store = SimpleNamespace(
            location=SimpleNamespace(path=directory, database="default"),
            query=lambda _: SimpleNamespace(rows=[(version, "UTC")]),
        )
        shared = {
            "shares": ProjectShares(),
            "proxies": TrustedProxies(),
            "telemetry": Telemetry(),
            "tls": None,
            "deadlines": Deadlines(),
        }
        host: Any = SimpleNamespace(store=store, keys=KeyRing(AuthConfig(), ""), **shared)
        super().__init__(host)

    def _project(self, request: web.Request) -> str | None:
        who = credentials(request)
        if (who.user, who.password) in (("writer", "pass word"), ("", ""), ("default", "")):
            return None
        if (who.user, who.password) == ("reader", "pass word"):
            return "reader"
        raise QueryError("Authentication failed: password is incorrect.", code=516)

    def _kept(self, statement: Statement, session: Session) -> bool:
        return False  # the session's handle keeps what SET and USE say

    def _run(self, statement: Statement, session: Session, project: str | None, name: str, *, owner: bool) -> Reply:
        execution = _SessionExecution(
            self._handle_of(session, kept=bool(statement.session)), kept=bool(statement.session)
        )
        try:
            with engine_errors():
                if statement.database not in ("", "__default__"):
                    execution.handle.query(f"USE `{statement.database}`")
                for name, value in statement.settings.items():
                    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
                    execution.handle.query(f"SET {name} = '{escaped}'")
                execution.settings = list(statement.settings)
                for table in statement.tables:
                    execution.tables.append(table.name)
                    execution.handle.query(f"CREATE TEMPORARY TABLE {table.name} ({table.structure})")
                    fill(execution.handle, table)
                return _reply(execution, statement, readonly=project == "reader")
        except BaseException:
            execution.end()
            raise

    def _handle_of(self, session: Session, *, kept: bool) -> Any:
        handle = getattr(session, "handle", None) or chdb.connect(self._directory)  # type: ignore[no-untyped-call]
        if kept:
            session.handle = handle  # type: ignore[attr-defined]
        return handle


class _SessionExecution(QueryExecution):
    """A statement on a handle that a session may keep."""

    def __init__(self, handle: Any, *, kept: bool) -> None:
        super().__init__(handle, lambda: None, 1 << 40)
        self._kept = kept
        self.settings: list[str] = []
        self.tables: list[str] = []

    def end(self) -> None:
        if not self._kept:
            super().end()
            return
        for name in self.settings:
            self.handle.query(f"SET {name} = DEFAULT")
        for name in self.tables:
            self.handle.query(f"DROP TABLE IF EXISTS {name}")
        self.settings, self.tables = [], []


def _reply(execution: _SessionExecution, statement: Statement, *, readonly: bool) -> Reply:
    raw = b"\n".join(part for part in (statement.query.encode(), statement.body) if part)
    insert = INSERT.match(raw)
    shown = not insert and RESULT.match(COMMENT.sub("", raw[:100_000].decode(errors="replace")))
    if readonly and not shown:
        raise QueryError("reader: Not enough privileges.", code=497)
    if insert and insert.group(2).upper() != b"VALUES":
        into, kind, data = insert.groups()
        # From a file: chDB's send_insert finds no rows for a view with a scalar subquery.
        with tempfile.NamedTemporaryFile(suffix=".raw") as file:
            file.write(data)
            file.flush()
            streamed, reads = STREAM.subn(rf"file('{file.name}', '{kind.decode()}', '\1')", into.decode())
            execution.handle.query(
                streamed if reads else f"{streamed} FROM INFILE '{file.name}' FORMAT {kind.decode()}"
            )
        execution.end()
        return Reply("", iter(()), Statistics(), complete=True)
    text = statement.sql
    named = FORMAT.search(text[-300:])
    chosen = named.group(1) if named else statement.format
    if shown and chosen in STREAMED and text.lstrip()[:6].upper() in ("SELECT", "WITH"):
        chunks = execution.stream(text, statement.format, statement.parameters)
        return Reply(chosen, Rejoined(next(chunks, b""), chunks), execution.statistics, complete=False)
    body = execution.read_all(text, statement.format, statement.parameters)
    execution.end()
    return Reply(chosen if shown else "", iter([body] if body else []), execution.statistics, complete=True)


async def main(server: WritableServer, port: int) -> None:
    print(await server.start("127.0.0.1", port), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()


if __name__ == "__main__":
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)  # the engine keeps copies of format schemas where the process happens to be
    asyncio.run(main(WritableServer(str(folder)), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
