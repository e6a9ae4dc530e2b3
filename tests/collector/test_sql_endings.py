"""A statement of the SQL port ends with whoever asked for it, and with the service, instead of at its time limit."""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from evalspan.queries.host.limits import Deadlines, LimitsConfig
from evalspan.queries.store.client import Store

from . import serving as service
from .sql_port import ask, serving

ENDLESS = "SELECT count() FROM numbers(1000000000000000) WHERE sipHash64(number) = 1"
ENDLESS_STREAM = "SELECT number FROM numbers(1000000000000000) WHERE sipHash64(number) = 1 FORMAT TSV"


def sent(url: str, request: str) -> socket.socket:
    where = urlsplit(url)
    connection = socket.create_connection((str(where.hostname), int(where.port or 0)), 30)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(f"{request}\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return connection


def asked(url: str, sql: str) -> socket.socket:
    return sent(url, f"GET /?query={quote(sql)} HTTP/1.1")


def running(store: Store) -> int:
    rows = store.query("SELECT count() FROM system.processes WHERE query LIKE '%sipHash64(number) = 1%'").rows
    return int(rows[0][0]) - 1  # without the one that counts


def until(wanted: int, store: Store) -> None:
    deadline = time.monotonic() + 10
    while running(store) != wanted:
        assert time.monotonic() < deadline, f"{running(store)} statements run, not {wanted}"
        time.sleep(0.05)


def test_a_statement_ends_when_its_client_goes_away_and_gives_its_slot_back(store: Store) -> None:
    with serving(store, {}) as url:
        half = LimitsConfig().sql_queries // 2
        clients = [asked(url, sql) for sql in [ENDLESS] * half + [ENDLESS_STREAM] * (LimitsConfig().sql_queries - half)]
        until(LimitsConfig().sql_queries, store)
        for each in clients:
            each.close()
        until(0, store)
        assert ask(url, "SELECT 1").text == "1\n"


def test_only_the_statement_of_the_client_that_left_is_cancelled(store: Store) -> None:
    with serving(store, {}) as url:
        stays = asked(url, ENDLESS)
        until(1, store)
        asked(url, ENDLESS_STREAM).close()
        until(1, store)
        stays.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            assert not stays.recv(10), "the other client's answer has ended, too"
        stays.close()
        until(0, store)


def test_a_comment_of_the_clients_own_stays_with_its_statement(store: Store) -> None:
    with serving(store, {}) as url:
        seen = ask(url, "SELECT value FROM system.settings WHERE name = 'log_comment' SETTINGS log_comment = 'nightly'")
        assert seen.text.strip().endswith(" nightly")


@pytest.mark.slow
def test_sigterm_waits_neither_for_endless_statements_nor_for_clients_that_stall(tmp_path: Path) -> None:
    with service.serving(tmp_path / "store", "--sql-port", "0") as collector:
        sql, http = collector.owner["sql"], collector.owner["http"]
        held = [
            asked(sql, ENDLESS),
            asked(sql, ENDLESS_STREAM),
            asked(sql, "SELECT repeat('x', 1000) FROM numbers(200000)"),  # and reads nothing
            sent(http, f"GET /sql.json?query={quote(ENDLESS)} HTTP/1.1"),
            sent(http, "POST /v1/traces HTTP/1.1\r\nContent-Type: application/x-protobuf\r\nContent-Length: 9"),
        ]
        time.sleep(1.5)
        began = time.monotonic()
        assert collector.stop() == 0, collector.said
        assert time.monotonic() - began < 20, "each alone would have held it up for 30 s"
        for each in held:
            each.close()


def test_connections_that_say_nothing_are_closed_and_one_address_has_so_many(store: Store) -> None:
    limits = LimitsConfig(sql_connections=20, connections_per_peer=5)
    with serving(store, {}, limits, Deadlines(header_s=1)) as url:
        where = urlsplit(url)
        address = (str(where.hostname), int(where.port or 0))
        silent = [socket.create_connection(address, 10) for _ in range(5)]
        silent[0].sendall(b"POST / HTTP/1.1\r\nHost: 127")  # half a header is none
        time.sleep(0.3)
        with socket.create_connection(address, 10) as beyond:
            assert ended(beyond)
        assert all(ended(each) for each in silent)
        assert ask(url, "SELECT 1").text == "1\n"


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
