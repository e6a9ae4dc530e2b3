"""The SQL port on a thread of its own, and a plain HTTP client of it; shared by the tests of the port."""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode, urlsplit

import clickhouse_connect

from evalspan.queries.host.auth import AuthConfig, KeyRing
from evalspan.queries.host.limits import Deadlines, LimitsConfig, ProjectShares
from evalspan.queries.host.origin import TrustedProxies
from evalspan.queries.host.telemetry import Telemetry
from evalspan.queries.http.server import SqlPort
from evalspan.queries.store.client import Store

TOKEN = "the-service-token-of-this-test"


@contextmanager
def serving(
    store: Store,
    keys: dict[str, str],
    limits: LimitsConfig | None = None,
    deadlines: Deadlines = Deadlines(),  # noqa: B008 - frozen
) -> Iterator[str]:
    """The port on a loop of its own thread."""
    ring = KeyRing(AuthConfig(keys=keys), TOKEN)
    service: Any = SimpleNamespace(
        store=store,
        keys=ring,
        shares=ProjectShares(limits, projects=ring.projects),
        proxies=TrustedProxies(),
        telemetry=Telemetry(),
        tls=None,
        deadlines=deadlines,
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    port = SqlPort(service)
    url = asyncio.run_coroutine_threadsafe(port.start("127.0.0.1", 0), loop).result(30)
    try:
        yield url
    finally:
        asyncio.run_coroutine_threadsafe(port.stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def text(self) -> str:
        return self.body.decode()


def ask(
    url: str, sql: str | bytes = b"", *, method: str = "POST", headers: dict[str, str] | None = None, **query: str
) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    body = sql.encode() if isinstance(sql, str) else sql
    connection.request(method, f"/?{urlencode(query)}", body=body or None, headers=headers or {})
    try:
        return Answer(connection.getresponse())
    finally:
        connection.close()


def client(url: str, **options: Any) -> Any:
    where = urlsplit(url)
    return clickhouse_connect.get_client(host=where.hostname, port=where.port, **options)
