"""A ClickHouse-like HTTP server for tests alone: chDB with writes allowed, behind the SQL port's own request reading.

    python tests/queries/writable_server.py DIRECTORY [PORT]

Prints its address and serves until its standard input is closed. It stands in for a ClickHouse server where the code
under test talks to one: no gate, no limits, one user "writer" with the password "pass word".
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
import threading
import uuid
from typing import Any

import chdb
from aiohttp import web

from evalspan.collector.sqlport.compression import compressor, inflate
from evalspan.collector.sqlport.request import _TRANSPORT, credentials

INSERT = re.compile(rb"^\s*(INSERT\s+INTO\s+.+?)\s+FORMAT\s+(\w+)\s*?(?:\n|\s*$)(.*)$", re.IGNORECASE | re.DOTALL)
RESULT = re.compile(r"^[\s(]*(SELECT|WITH|SHOW|DESC|DESCRIBE|EXPLAIN|EXISTS|FROM)\b", re.IGNORECASE)
FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
CODE = re.compile(r"Code: (\d+)")


class Server:
    """Statements on one handle each, sessions on handles of their own."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._sessions: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._keep = self._connect()  # the engine stops with its last handle

    async def handle(self, request: web.Request) -> web.Response:
        who = credentials(request)
        if (who.user, who.password) != ("writer", "pass word") and not (
            who.user in ("", "default") and not who.password
        ):
            return self._failed("Code: 516. DB::Exception: Authentication failed (AUTHENTICATION_FAILED)")
        fields = dict(request.query)
        if request.content_type == "multipart/form-data":
            fields.update({name: str(value) for name, value in (await request.post()).items()})
            body = b""
        else:
            body = inflate(await request.read(), request.headers.get("Content-Encoding", ""), 1 << 30)
        raw = fields.get("query", "").encode() + (
            b"\n" + body if "query" in fields and body else b"" if "query" in fields else body
        )
        try:
            answer, format_, summary = await asyncio.to_thread(self._run, raw, fields, request.headers)
        except Exception as error:
            return self._failed(str(error))
        headers = {
            "X-ClickHouse-Query-Id": fields.get("query_id") or str(uuid.uuid4()),
            "X-ClickHouse-Summary": json.dumps(summary),
        }
        headers["X-ClickHouse-Timezone"] = "UTC"
        if format_:
            headers["X-ClickHouse-Format"] = format_
        chosen = (
            compressor(request.headers.get("Accept-Encoding", ""))
            if fields.get("enable_http_compression") == "1"
            else None
        )
        if chosen:
            headers["Content-Encoding"] = chosen[0]
            answer = chosen[1].compress(answer) + chosen[1].flush()
        return web.Response(body=answer, headers=headers)

    def _run(self, raw: bytes, fields: dict[str, str], headers: Any) -> tuple[bytes, str, dict[str, str]]:
        session = fields.get("session_id", "")
        if not session:
            return self._on(self._connect(), raw, fields, headers, close=True)
        with self._lock:
            handle = self._sessions.setdefault(session, None) or self._connect()
            self._sessions[session] = handle
            return self._on(handle, raw, fields, headers, close=False)

    def _connect(self) -> Any:
        return chdb.connect(self._directory)  # type: ignore[no-untyped-call]

    def _on(
        self, handle: Any, raw: bytes, fields: dict[str, str], headers: Any, *, close: bool
    ) -> tuple[bytes, str, dict[str, str]]:
        try:
            database = fields.get("database") or headers.get("X-ClickHouse-Database")
            if database and database != "__default__":
                handle.query(f"USE `{database}`")
            for name, value in fields.items():
                if name not in _TRANSPORT and not name.startswith("param_"):
                    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
                    handle.query(f"SET {name} = '{escaped}'")
            parameters = {name[6:]: value for name, value in fields.items() if name.startswith("param_")}
            insert = INSERT.match(raw)
            if insert and insert.group(2).upper() != b"VALUES":
                statement, kind, data = insert.groups()
                # From a file: chDB's send_insert finds no rows for a view with a scalar subquery.
                with tempfile.NamedTemporaryFile(suffix=".raw") as file:
                    file.write(data)
                    file.flush()
                    handle.query(f"{statement.decode()} FROM INFILE '{file.name}' FORMAT {kind.decode()}")
                return b"", "", {"written_rows": "0"}
            text = raw.decode()
            default = fields.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated"
            answer = handle.query(text, default, params=parameters)
            named = FORMAT.search(text[-300:])
            shown = bool(RESULT.match(re.sub(r"^\s*(--.*?\n|/\*.*?\*/)", "", text, flags=re.DOTALL)))
            return (
                bytes(answer.bytes() or b""),
                (named.group(1) if named else default) if shown else "",
                {"read_rows": str(answer.rows_read())},
            )
        finally:
            if close:
                handle.close()

    @staticmethod
    def _failed(text: str) -> web.Response:
        text = text[max(text.find("Code: "), 0) :]
        found = CODE.search(text)
        code = found.group(1) if found else "1002"
        return web.Response(
            status=403 if code == "516" else 500, text=text, headers={"X-ClickHouse-Exception-Code": code}
        )


async def main(directory: str, port: int) -> None:
    server = Server(directory)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_get("/ping", lambda _: asyncio.sleep(0, web.Response(text="Ok.\n")))
    app.router.add_route("*", "/", server.handle)
    runner = web.AppRunner(app, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0))
