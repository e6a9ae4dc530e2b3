"""The finer points of ClickHouse's HTTP protocol: external tables, its own blocks, Native at a revision, slow and many clients."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import lz4.block
import pytest
import zstandard
from clickhouse_cityhash.cityhash import CityHash128
from clickhouse_connect.driver.external import ExternalData

from evalspan.errors import QueryError
from evalspan.queries.host.limits import Deadlines, LimitsConfig
from evalspan.queries.http.native import at_revision
from evalspan.queries.store.client import Store

from .sql_port import Answer, ask, client, serving


@pytest.fixture(scope="module")
def url(store: Store) -> Any:
    with serving(store, {}) as address:
        yield address


def form(**parts: tuple[str, bytes] | str) -> tuple[bytes, dict[str, str]]:
    body = b""
    for name, content in parts.items():
        filename, data = content if isinstance(content, tuple) else ("", content.encode())
        file = f'; filename="{filename}"' if filename else ""
        body += f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + data + b"\r\n"
    return body + b"--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}


def test_external_tables_are_there_for_their_statement_alone(url: str) -> None:
    with client(url) as connected:
        wanted = ExternalData(
            file_name="ids.csv", data=b"1,one\n3,three\n", fmt="CSV", structure=["id UInt64", "word String"]
        )
        sql = "SELECT word FROM numbers(5) AS n JOIN ids ON n.number = ids.id ORDER BY id"
        assert connected.query(sql, external_data=wanted).result_rows == [("one",), ("three",)]
        with pytest.raises(Exception, match="60"):
            connected.query("SELECT * FROM ids")
        typed = ExternalData(file_name="t.tsv", data=b"a\t[1,2]\n", fmt="TSV", types=["String", "Array(UInt8)"])
        assert connected.query("SELECT _2, _1 FROM t", external_data=typed).result_rows == [([1, 2], "a")]


@pytest.mark.parametrize(
    "structure",
    [
        "a String DEFAULT file('/etc/passwd')",
        "a String MATERIALIZED file('/etc/passwd')",
        "a String ALIAS getMacro('x')",
        "a String) ENGINE = File(TSV, '/etc/passwd'",
        "a String) ENGINE = URL('http://127.0.0.1:1/', TSV",
        "a String) AS SELECT file('/etc/passwd') AS a --",
        "a String); DROP TABLE spans --",
        "a String, CONSTRAINT c CHECK file('/etc/passwd') != ''",
        "a String, INDEX i file('/etc/passwd') TYPE minmax",
        "a String TTL now() + sleep(3)",
        "a String -- ",
    ],
)
def test_external_tables_hold_columns_and_nothing_else(url: str, structure: str) -> None:
    body, headers = form(t=("t", b"x\n"))
    answer = ask(url, body, headers=headers, query="SELECT * FROM t", t_structure=structure)
    assert answer.headers["X-ClickHouse-Exception-Code"] in ("497", "62"), answer.text
    assert "root:" not in answer.text
    assert ask(url, "SELECT count() >= 0 FROM spans").text == "1\n"


def test_external_tables_do_not_open_the_gate(url: str) -> None:
    body, headers = form(passwd=("p", b"/etc/passwd\n"))
    answer = ask(url, body, headers=headers, query="SELECT file(a) FROM passwd", passwd_structure="a String")
    assert answer.headers["X-ClickHouse-Exception-Code"] == "497"
    for name in ("a.b", "x`y", "1x", "t; DROP TABLE spans"):
        body, headers = form(**{name: ("p", b"1\n")})
        answer = ask(url, body, headers=headers, query="SELECT 1", **{f"{name}_structure": "a UInt8"})
        assert answer.status in (400, 403), answer.text
    none, headers = form(t=("t", b"1\n"))
    assert "t_structure" in ask(url, none, headers=headers, query="SELECT * FROM t").text
    assert (
        ask(url, none, headers=headers, query="SELECT * FROM t", t_structure="a UInt8", t_format="Nope").status == 500
    )
    many, headers = form(**{f"t{n}": ("t", b"1\n") for n in range(17)})
    assert (
        ask(url, many, headers=headers, query="SELECT 1", **{f"t{n}_types": "UInt8" for n in range(17)}).status == 400
    )


def blocks_of(body: bytes) -> bytes:
    """Reads ClickHouse's blocks as a client does, checksums included."""
    plain, at = b"", 0
    while at < len(body):
        low, high, method, size, inflated = struct.unpack_from("<QQBII", body, at)
        number = CityHash128(body[at + 16 : at + 16 + size])
        assert (low, high, method) == (number >> 64, number & (2**64 - 1), 0x82)
        plain += lz4.block.decompress(body[at + 25 : at + 16 + size], uncompressed_size=inflated)
        at += 16 + size
    return plain


def block(data: bytes, method: int, *, size: int | None = None) -> bytes:
    pack: Any = {0x82: lambda d: lz4.block.compress(d, store_size=False), 0x90: zstandard.compress, 0x02: bytes}
    packed: bytes = pack[method](data)
    framed = struct.pack("<BII", method, 9 + len(packed), len(data) if size is None else size) + packed
    number: int = CityHash128(framed)
    checksum: bytes = struct.pack("<QQ", number >> 64, number & (2**64 - 1))
    return checksum + framed


def test_clickhouses_own_blocks_work_both_ways(url: str) -> None:
    sql = "SELECT number FROM numbers(300000) FORMAT TSV"
    wanted = b"".join(b"%d\n" % n for n in range(300_000))
    assert blocks_of(ask(url, sql, compress="1").body) == wanted
    for method in (0x82, 0x90, 0x02):
        half = len(sql) // 2
        body = block(sql[:half].encode(), method) + block(sql[half:].encode(), method)
        assert ask(url, body, decompress="1").body == wanted
    bad = bytearray(block(sql.encode(), 0x82))
    bad[3] ^= 1
    assert ask(url, bytes(bad), decompress="1").headers["X-ClickHouse-Exception-Code"] == "40"
    for broken in (
        b"xyz",
        block(b"SELECT 1", 0x02)[:-1],
        block(b"SELECT 1", 0x02, size=99),
        block(b"SELECT 1", 0x82, size=1),
    ):
        assert ask(url, broken, decompress="1").headers["X-ClickHouse-Exception-Code"] == "271"
    bomb = block(b" " * 900_000, 0x82) * 50
    assert "longer than" in ask(url, bomb, decompress="1").text
    lying = block(b"SELECT 1", 0x82, size=2_000_000_000)
    assert ask(url, lying, decompress="1").headers["X-ClickHouse-Exception-Code"] == "271"


COLUMNS = {
    "number": "number",
    "text": "repeat('x', toUInt32(number * 50))",
    "fixed": "toFixedString('abc', 3)",
    "maybe": "if(number % 2, NULL, toString(number))",
    "low": "toLowCardinality(toString(number % 3))",
    "low_maybe": "CAST(if(number % 2, NULL, 'a'), 'LowCardinality(Nullable(String))')",
    "lists": "arrayMap(x -> (x, toString(x)), range(number))",
    "low_lists": "CAST(if(number = 0, [], ['a', 'b']), 'Array(LowCardinality(String))')",
    "named": "CAST((1, 'x'), 'Tuple(a UInt8, b String)')",
    "pairs": "CAST(map('k', toString(number)), 'Map(LowCardinality(String), String)')",
    "when": "toDateTime64(number, 9, 'Europe/Berlin')",
    "day": "toDate(number)",
    "money": "toDecimal64(number, 3)",
    "wide": "toDecimal256(number, 3)",
    "flag": "CAST(number % 2, 'Bool')",
    "kind": "CAST('b', 'Enum8(\\'a(\\' = 1, \\'b\\' = 2)')",
    "id": "toUUID('00000000-0000-0000-0000-000000000001')",
    "address": "toIPv6('::1')",
    "nothing": "[]",
    "place": "CAST((1., 2.), 'Point')",
    "wait": "INTERVAL 1 DAY",
    "share": "toFloat32(number)",
}


def test_native_is_at_the_revision_that_a_client_asks_for(url: str) -> None:
    sql = f"SELECT {', '.join(f'{sql} AS {name}' for name, sql in COLUMNS.items())} FROM numbers(5) FORMAT Native"
    plain = ask(url, sql).body
    assert ask(url, sql, client_protocol_version="50000").body == plain
    info = b"\x01\x00\x02\xff\xff\xff\xff\x00"
    assert ask(url, sql, client_protocol_version="54405").body == info + plain
    newest = ask(url, sql, client_protocol_version="54483").body
    assert newest.startswith(info)
    # What a reader of that revision leaves over is the same block again: each column lost its one byte to it.
    assert len(newest) == len(info) + len(plain) + len(COLUMNS)
    assert without_custom_bytes(newest[8:], plain) == plain
    many = ask(
        url, "SELECT toString(number) AS s FROM numbers(200000) FORMAT Native", client_protocol_version="54405"
    ).body
    assert many.count(info + b"\x01") > 1  # one to each block of the stream
    empty = ask(url, "SELECT 1 AS a WHERE 0 FORMAT Native", client_protocol_version="54483").body
    assert empty == b"" or empty == info + b"\x01\x00\x01a\x05UInt8\x00"
    with pytest.raises(QueryError, match="type JSON"):
        at_revision(b"\x01\x01\x01a\x04JSON" + b"\x00" * 20, 54483, single=True)


def without_custom_bytes(new: bytes, old: bytes) -> bytes:
    """The new block without the zero bytes that the old one has not; everything else has to agree."""
    kept, at = bytearray(), 0
    for byte in new:
        if at < len(old) and byte == old[at]:
            kept.append(byte)
            at += 1
        else:
            assert byte == 0
    return bytes(kept)


def test_a_short_answer_has_its_length_and_summary_and_an_early_error_its_status(url: str) -> None:
    short = ask(url, "SELECT number FROM numbers(10)")
    assert short.headers["Content-Length"] == "20"
    assert json.loads(short.headers["X-ClickHouse-Summary"])["result_rows"] == "10"
    assert "X-ClickHouse-Progress" not in short.headers
    told = ask(url, "SELECT number FROM numbers(10)", send_progress_in_http_headers="1")
    assert json.loads(told.headers["X-ClickHouse-Progress"])["read_rows"] == "10"
    assert ask(url, "SELECT throwIf(number = 9) FROM numbers(10) SETTINGS max_block_size = 1").status == 500
    whole = ask(url, "SELECT throwIf(number = 900000) FROM numbers(1000000)", wait_end_of_query="1")
    assert (whole.status, whole.headers["X-ClickHouse-Exception-Code"]) == (500, "395")
    streamed = ask(url, "SELECT number FROM numbers(900000)")
    assert "Content-Length" not in streamed.headers
    assert streamed.body.count(b"\n") == 900_000


def test_a_name_of_a_query_that_cannot_stand_in_a_header_is_refused(url: str) -> None:
    refused = ask(url, "SELECT 1", query_id="a\nX-Injected: 1")
    assert (refused.status, refused.headers["X-ClickHouse-Exception-Code"]) == (400, "36")
    assert ask(url, "SELECT 1", query_id="nightly é").text == "1\n"


def test_a_literal_may_hold_bytes_that_are_no_text(url: str) -> None:
    assert ask(url, r"SELECT '\xff\x00a'").body == b"\xff\\0a\n"


def test_head_and_unknown_paths_answer_like_a_server(url: str) -> None:
    assert (ask(url, method="HEAD").status, ask(url, method="HEAD").body) == (200, b"")
    for method, path, status in (
        ("GET", "/play", 404),
        ("GET", "/replicas_status", 200),
        ("PUT", "/", 405),
        ("OPTIONS", "/", 405),
    ):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        connection.request(method, path)
        answer = connection.getresponse()
        assert (answer.status, answer.headers.get("Access-Control-Allow-Origin")) == (status, None), path
        connection.close()


def test_results_are_cut_on_request_and_never_beyond_the_limit(url: str) -> None:
    cut = ask(
        url,
        "SELECT number FROM numbers(100000) FORMAT TSV",
        max_result_rows="10",
        result_overflow_mode="break",
        max_block_size="10",
    )
    assert cut.status == 200
    assert 10 <= cut.body.count(b"\n") < 1000
    thrown = ask(url, "SELECT number FROM numbers(100)", max_result_rows="10")
    assert thrown.headers["X-ClickHouse-Exception-Code"] == "396"


@pytest.mark.slow
def test_a_client_that_sends_or_reads_nothing_is_let_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from evalspan.queries.http import response as answer

    monkeypatch.setattr(answer, "SLOWEST_READ_S", 1)
    with serving(store, {}, deadlines=Deadlines(body_s=1)) as url:
        where = urlsplit(url)
        address = (str(where.hostname), int(where.port or 0))
        with socket.create_connection(address, 30) as slow:
            slow.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nSELECT")
            assert slow.recv(100).startswith(b"HTTP/1.1 408")
        readers = [socket.create_connection(address, 30) for _ in range(LimitsConfig().sql_queries)]
        try:
            for reader in readers:
                reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                reader.sendall(
                    b"GET /?query=SELECT+repeat('x',1000)+FROM+numbers(200000) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".replace(
                        b"'", b"%27"
                    )
                )
            assert ask(url, "SELECT 1").text == "1\n"  # the slots are free again
        finally:
            for reader in readers:
                reader.close()


@pytest.mark.slow
def test_more_requests_than_there_is_room_for_are_told_so(store: Store) -> None:
    slow = "SELECT count() FROM numbers(1000000000000000) WHERE sipHash64(number) = 1"
    with serving(store, {}, LimitsConfig(sql_requests=3)) as url:
        answers: list[Answer] = []
        threads = [
            threading.Thread(target=lambda: answers.append(ask(url, slow, max_execution_time="3"))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        codes = [each.headers["X-ClickHouse-Exception-Code"] for each in answers]
        assert set(codes) == {"159", "202"}, codes
        assert codes.count("159") <= 3
        time.sleep(0.1)
        assert ask(url, "SELECT 1").text == "1\n"
