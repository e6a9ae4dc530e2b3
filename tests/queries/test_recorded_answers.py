"""Answers of ClickHouse servers over HTTP, put together from public reports, to the driver and to our streams.

Error texts and the frames in the middle of a stream are as reported; what refuses a read-only user or a wrong password is
written in their form, and one message stands for several versions. Sources (public): ClickHouse pull request 68800 (24.12: a timeout, its headers), issue 75175 (25.1: an error in the middle of a
stream, connection cut), pull request 88818 and the HTTP page of the documentation (25.11 and later: tag and frame), issue 67588
(24.5: memory), clickhouse-connect's own checks (26: the frame with line ends).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from evalspan.errors import QueryError, StoreError, StoreUnreachable
from evalspan.queries.store.answer_stream import blocks_of
from evalspan.queries.store.config import parse_dsn
from evalspan.queries.store.engine import first_line, open_client, translated

VERSION = b"version\ttimezone\treadonly\n"
THROWN = (
    "Code: 395. DB::Exception: There was an error in the stream!: while executing 'FUNCTION throwIf(equals(__table1.number, "
    "3_UInt8) :: 3, 'There was an error in the stream!'_String :: 2) -> throwIf(equals(__table1.number, 3_UInt8), 'There was "
    "an error in the stream!'_String) UInt8 : 0'. (FUNCTION_THROW_IF_VALUE_IS_NON_ZERO) (version {} (official build))\n"
)
ROWS = b'0,"ZE*4-_2(5&Fa^XUrSCzv"\n0,"Cxkv</X#3l{m9Br0a?YG"\n'
TAG = "dngjzjnxkvlwkeua"
TIMEOUT = (
    "Code: 159. DB::Exception: Timeout exceeded: elapsed 0.5 seconds, maximum: 0.1 seconds. (TIMEOUT_EXCEEDED)"
    " (version 24.12.1.1614 (official build))\n"
)
MEMORY = (
    "Code: 241. DB::Exception: Memory limit (total) exceeded: would use 45.54 GiB (attempt to allocate chunk of 4249160 bytes),"
    " maximum: 43.20 GiB. OvercommitTracker decision: Query was selected to stop by OvercommitTracker.: While executing"
    " MergeTreeSelect(pool: ReadPool, algorithm: Thread). (MEMORY_LIMIT_EXCEEDED) (version 24.5.1.1763 (official build))\n"
)
READONLY = "Code: 164. DB::Exception: reader: Cannot execute query in readonly mode. (READONLY) (version 26.2.3.2 (official build))\n"
WRONG_PASSWORD = (
    "Code: 516. DB::Exception: default: Authentication failed: password is incorrect, or there is no user with such name."
    " (AUTHENTICATION_FAILED) (version 24.8.4.13 (official build))\n"
)


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def answer(status: str, body: list[bytes], *, whole: bool = True, **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    head = [f"HTTP/1.1 {status}", "Connection: Keep-Alive", "Transfer-Encoding: chunked"]
    head += [f"{name}: {value}" for name, value in {"X-ClickHouse-Format": "CSV", **named}.items()]
    end = b"0\r\n\r\n" if whole else b""
    return "\r\n".join(head).encode() + b"\r\n\r\n" + b"".join(chunk(one) for one in body) + end


@contextmanager
def server(recorded: bytes, *, greeting: bool = False) -> Iterator[str]:
    """Answers every request with the recorded bytes and hangs up, after the driver's two first questions where `greeting`."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        first = [answer("200 OK", [b"26.2.3.2\tUTC\n"]), answer("200 OK", [])] if greeting else []
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                while b"\r\n\r\n" not in (request := connection.recv(65536)) and request:
                    pass
                said = first.pop(0) if first else recorded
                connection.sendall(said.replace(b"Keep-Alive", b"close"))

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://default:secret@127.0.0.1:{listening.getsockname()[1]}/evalspan"
    finally:
        listening.close()


def streamed(recorded: bytes) -> bytes:
    """The answer as `stream_untrusted` reads it."""
    import urllib3

    with server(recorded) as url, urllib3.PoolManager(retries=False) as pool:
        stream = pool.request("GET", url.replace("default:secret@", ""), preload_content=False)
        return b"".join(blocks_of(stream))


def ask(url: str) -> None:
    client = open_client(parse_dsn(url), database=None)
    with translated("SELECT 1"):
        client.query("SELECT 1")


def frame(version: str, *, lines: str = "\r\n") -> bytes:
    message = THROWN.format(version)
    return f"{lines}__exception__{lines}{TAG}{lines}{message}{len(message)} {TAG}{lines}__exception__{lines}".encode()


@pytest.mark.parametrize(
    "recorded",
    [
        answer("200 OK", [ROWS, b"__exception__\n" + THROWN.format("25.1.6.34").encode()], whole=False),
        answer("200 OK", [ROWS, THROWN.format("24.3.2.23").encode()], whole=False),
        answer("200 OK", [ROWS, frame("25.11.2.24")], whole=False, X_ClickHouse_Exception_Tag=TAG),
        answer("200 OK", [ROWS, frame("26.9.2.1")], X_ClickHouse_Exception_Tag=TAG),
        answer("200 OK", [ROWS, frame("26.2.3.2", lines="\n")], X_ClickHouse_Exception_Tag=TAG),
        answer("200 OK", [ROWS * 5000, frame("26.9.2.1")[:40], frame("26.9.2.1")[40:]], X_ClickHouse_Exception_Tag=TAG),
    ],
    ids=["25.1 cut", "24.3 cut", "25.11 cut", "26.9 whole", "26.2 line feeds", "26.9 in two chunks"],
)
def test_an_error_in_the_middle_of_a_stream_is_an_error_and_never_data(recorded: bytes) -> None:
    with pytest.raises(QueryError, match="There was an error in the stream!") as failed:
        streamed(recorded)
    assert failed.value.code == 395
    assert "version" not in str(failed.value)


def test_an_answer_that_breaks_off_without_a_word_is_no_whole_answer() -> None:
    with pytest.raises(StoreUnreachable, match="broke off"):
        streamed(answer("200 OK", [ROWS], whole=False))
    with pytest.raises(StoreUnreachable, match="broke off"):
        streamed(answer("200 OK", [ROWS, b"0,the text Code: 395. DB::Exception in a row\n"], whole=False))


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        b"",
        b"x" * 200_000,
        b"__exception__\nCode: 395. DB::Exception: said somebody\n",
        b"\r\n__exception__\r\nanothertag\r\nCode: 1. DB::Exception: x\n24 anothertag\r\n__exception__\r\n",
    ],
)
@pytest.mark.parametrize("tag", ["", TAG])
def test_data_that_looks_like_an_error_is_data(rows: bytes, tag: str) -> None:
    headers: dict[str, Any] = {"X_ClickHouse_Exception_Tag": tag} if tag else {}
    assert streamed(answer("200 OK", [rows] if rows else [], **headers)) == rows


@pytest.mark.parametrize(
    ("status", "body", "code", "kind"),
    [
        ("408 Request Time-out", TIMEOUT, 159, QueryError),
        ("500 Internal Server Error", MEMORY, 241, QueryError),
        ("500 Internal Server Error", READONLY, 164, QueryError),
        ("403 Forbidden", WRONG_PASSWORD, 516, StoreUnreachable),
    ],
)
def test_answers_of_several_versions_become_our_errors(
    status: str, body: str, code: int, kind: type[StoreError]
) -> None:
    recorded = answer(status, [body.encode()], X_ClickHouse_Exception_Code=str(code), X_ClickHouse_Query_Id="q")
    with server(recorded) as url, pytest.raises(StoreUnreachable, match="refuses us at") as refused:
        open_client(parse_dsn(url), database=None)
    with server(recorded, greeting=True) as url, pytest.raises(kind) as failed:
        ask(url)
    if isinstance(failed.value, QueryError):
        assert failed.value.code == code
    for error in (refused.value, failed.value):
        assert "secret" not in f"{error} {error.hint}"
        assert "official build" not in str(error)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            (
                "Code: 62. DB::Exception: Syntax error: failed at position 7 (1): 1. Expected one of: token sequence, Dot, token, OR, AND,"
                " IS NULL, end of query: In scope SELECT formatQuery('SELEC 1'). (SYNTAX_ERROR) (version 26.9.2.1)"
            ),
            "Syntax error: failed at position 7 (1): 1. Expected one of: token sequence, Dot, token, OR, ...",
        ),
        (
            (
                "Code: 73. DB::Exception: Code: 73. DB::Exception: Unknown format Nope. (UNKNOWN_FORMAT) (version 26.9.2.1)."
                " (UNKNOWN_FORMAT) (version 26.9.2.1)"
            ),
            "Unknown format Nope. (UNKNOWN_FORMAT)",
        ),
        (
            "Code: 60. DB::Exception: Table t does not exist. (UNKNOWN_TABLE) (version 25.8.1.1 (official build))",
            "Table t does not exist. (UNKNOWN_TABLE)",
        ),
        ("Code: 395. DB::Exception: said: Code: 1. x (NAME)", "said: Code: 1. x (NAME)"),
    ],
)
def test_an_error_is_told_in_a_line(text: str, told: str) -> None:
    assert first_line(text).startswith(told)
    assert len(first_line(text)) <= len(told) + 20
