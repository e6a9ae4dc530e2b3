"""The SQL port speaks ClickHouse's HTTP protocol: clickhouse-connect, plain HTTP, sessions, errors, keys."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import threading
import uuid
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import lz4.frame
import pytest
import zstandard
from clickhouse_connect.driver.exceptions import DatabaseError

from evalspan.errors import QueryError, StoreError, StoreUnreachable
from evalspan.queries.store.client import Store
from evalspan.queries.store.lock_file import Owner
from evalspan.queries.store.remote import RemoteStore

from .sql_port import TOKEN, ask, client, serving

KEY_OF_A, KEY_OF_B = "a" * 20, "b" * 20


@pytest.fixture(scope="module")
def url(store: Store) -> Iterator[str]:
    with serving(store, {}) as address:
        yield address


@pytest.fixture(scope="module")
def locked_url(store: Store) -> Iterator[str]:
    with serving(store, {KEY_OF_A: "team-a", KEY_OF_B: "team-b"}) as address:
        yield address


def test_clickhouse_connect_works_as_against_a_server(url: str) -> None:
    with client(url) as connected:
        assert connected.query("SELECT number, toString(number) FROM numbers(3)").result_rows == [
            (0, "0"),
            (1, "1"),
            (2, "2"),
        ]
        given = {"a": "q'\n\\x\t", "b": [1, 2]}
        assert connected.query("SELECT {a:String}, {b:Array(UInt8)}", parameters=given).result_rows == [
            ("q'\n\\x\t", [1, 2])
        ]
        assert connected.query_df("SELECT number FROM numbers(100000)").shape == (100_000, 1)
        assert connected.query_arrow("SELECT number FROM numbers(10)").num_rows == 10
        assert connected.command("SELECT count() FROM evalspan.spans WHERE 0") == 0
        assert connected.query("SELECT 1 SETTINGS max_threads = 1", settings={"max_block_size": 10}).result_rows == [
            (1,)
        ]
        with connected.query_row_block_stream("SELECT number FROM numbers(500000)") as blocks:
            assert sum(len(block) for block in blocks) == 500_000
        with pytest.raises(DatabaseError, match="code: 47"):
            connected.query("SELECT nope")
        with pytest.raises(DatabaseError, match="497"):
            connected.command("DROP TABLE spans")
        with pytest.raises(DatabaseError, match="497"):
            connected.insert("spans", [["x"]], column_names=["name"])


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip", "deflate"])
def test_compression_works_both_ways(url: str, encoding: str) -> None:
    compress: dict[str, Any] = {
        "lz4": lz4.frame.compress,
        "zstd": zstandard.compress,
        "gzip": gzip.compress,
        "deflate": zlib.compress,
    }
    inflate: dict[str, Any] = {
        "deflate": zlib.decompress,
        "lz4": lz4.frame.decompress,
        "zstd": lambda body: zstandard.ZstdDecompressor().stream_reader(body).read(),
        "gzip": gzip.decompress,
    }
    sql = b"SELECT number FROM numbers(200000) FORMAT CSV"
    headers = {"Content-Encoding": encoding, "Accept-Encoding": encoding}
    answer = ask(url, compress[encoding](sql), headers=headers)
    assert (answer.status, answer.headers["Content-Encoding"]) == (200, encoding)
    assert inflate[encoding](answer.body) == b"".join(b"%d\n" % n for n in range(200_000))
    plain = ask(url, sql, headers={"Accept-Encoding": encoding}, enable_http_compression="0")
    assert "Content-Encoding" not in plain.headers
    refused = ask(url, sql, headers={"Accept-Encoding": f"{encoding};q=0"})
    assert "Content-Encoding" not in refused.headers
    bomb = compress[encoding](b"SELECT 1" + b" " * 50_000_000)
    assert ask(url, bomb, headers={"Content-Encoding": encoding}).status == 500
    assert "271" in ask(url, b"garbage", headers={"Content-Encoding": encoding}).headers["X-ClickHouse-Exception-Code"]


def test_formats_come_from_the_statement_the_address_or_the_header(url: str) -> None:
    assert ask(url, "SELECT 1 AS a FORMAT JSONEachRow").text == '{"a":1}\n'
    assert ask(url, "SELECT 1 AS a", default_format="CSVWithNames").text == '"a"\n1\n'
    assert ask(url, "SELECT 1 AS a", headers={"X-ClickHouse-Format": "JSONCompactEachRow"}).text == "[1]\n"
    answer = ask(url, "SELECT 1 AS a FORMAT JSON")
    assert json.loads(answer.text)["data"] == [{"a": 1}]
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["X-ClickHouse-Format"] == "JSON"
    counted = json.loads(
        ask(url, "SELECT number FROM numbers(1000) WHERE number % 100 = 0").headers["X-ClickHouse-Summary"]
    )
    assert (counted["read_rows"], counted["result_rows"]) == ("1000", "10")
    for name in ("Parquet", "Arrow", "Native", "RowBinary", "Markdown", "Pretty", "XML"):
        assert ask(url, f"SELECT 1 AS a FORMAT {name}").status == 200


def test_get_without_a_statement_says_ok_and_parameters_are_bound(url: str) -> None:
    assert ask(url, method="GET").text == "Ok.\n"
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("GET", "/ping")
    assert connection.getresponse().read() == b"Ok.\n"
    connection.close()
    found = ask(url, method="GET", query="SELECT {x:String}, {n:UInt8} + 1", param_x="it\\'s\\n'; DROP", param_n="1")
    assert found.text == "it\\'s\\n\\'; DROP\t2\n"
    assert ask(url, "SELECT {x:String}").status == 500  # no value


def test_errors_carry_clickhouses_code_and_a_fitting_status(url: str) -> None:
    cases = {
        "SELECT nope": (47, 400),
        "SELECT (": (62, 400),
        "SELECT * FROM nope": (60, 404),
        "DROP TABLE spans": (497, 403),
    }
    for sql, (code, status) in cases.items():
        answer = ask(url, sql)
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (status, str(code)), answer.text
        assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
        assert re.search(r"\([A-Z_]+\) \(version [\d.]+\)$", answer.text.strip())
    assert ask(url, "SELECT 1", database="elsewhere").status == 404
    assert ask(url, "SELECT 1", max_memory_usage="0").status == 403
    slow = ask(
        url, "SELECT count() FROM numbers(1000000000000000) WHERE sipHash64(number) = 1", max_execution_time="0.5"
    )
    assert (slow.status, slow.headers["X-ClickHouse-Exception-Code"]) == (408, "159")


def test_an_error_after_the_answer_has_begun_is_marked_in_the_stream(url: str) -> None:
    answer = ask(url, "SELECT throwIf(number = 900000) FROM numbers(1000000)", max_block_size="65536")
    assert answer.status == 200
    tag = answer.headers["X-ClickHouse-Exception-Tag"]
    assert f"__exception__\r\n{tag}\r\nCode: 395." in answer.text
    assert answer.text.endswith(f"{tag}\r\n__exception__\r\n")
    with client(url) as connected, pytest.raises(Exception, match=r"395|non-zero"):
        connected.query("SELECT throwIf(number = 900000) FROM numbers(1000000)", settings={"max_block_size": 65536})


@pytest.mark.slow
def test_sessions_keep_settings_and_refuse_two_requests_at_once(url: str) -> None:
    name = str(uuid.uuid4())
    assert ask(url, "SELECT 1", session_id=name, session_check="1").headers["X-ClickHouse-Exception-Code"] == "372"
    assert ask(url, "SET join_use_nulls = 1, max_block_size = 7", session_id=name).status == 200
    sql = "SELECT value FROM system.settings WHERE name = 'max_block_size'"
    assert ask(url, sql, session_id=name, session_check="1").text == "7\n"
    assert ask(url, sql).text != "7\n"
    assert ask(url, "SET readonly = 0", session_id=name).headers["X-ClickHouse-Exception-Code"] == "164"
    assert ask(url, "USE system", session_id=name).headers["X-ClickHouse-Exception-Code"] == "81"
    slow = "SELECT count() FROM numbers(1000000000000000) WHERE sipHash64(number) = 1"
    codes: list[str | None] = []

    def run_slow() -> None:
        while not codes or codes[-1] == "373":  # a probe below was in the session first
            codes.append(ask(url, slow, session_id=name, max_execution_time="2").headers["X-ClickHouse-Exception-Code"])

    thread = threading.Thread(target=run_slow)
    thread.start()
    probes = set()
    while thread.is_alive():
        probes.add(ask(url, "SELECT 1", session_id=name).headers.get("X-ClickHouse-Exception-Code"))
        thread.join(0.1)
    assert "373" in probes
    assert codes[-1] == "159"
    assert (
        ask(url, "SELECT 1", session_id=name, session_timeout="99999").headers["X-ClickHouse-Exception-Code"] == "374"
    )


def test_settings_in_the_address_cannot_cut_the_tree_that_the_gate_examines(url: str) -> None:
    cuts: list[dict[str, Any]] = [
        {"limit": "1"},
        {"offset": "5"},
        {"max_result_rows": "1", "result_overflow_mode": "break"},
    ]
    for settings in cuts:
        answer = ask(url, "SELECT file('/etc/hostname')", **settings)
        assert answer.headers["X-ClickHouse-Exception-Code"] == "497"
    for name in ("format_schema", "output_format_schema", "readonly", "user_files_path", "format_template_row"):
        setting: dict[str, Any] = {name: "/etc/passwd"}
        assert ask(url, "SELECT 1", **setting).headers["X-ClickHouse-Exception-Code"] == "164", name


def test_pages_of_other_origins_and_rebound_names_are_refused(url: str) -> None:
    assert ask(url, "SELECT 1", headers={"Origin": "http://evil.example"}).status == 403
    assert ask(url, "SELECT 1", headers={"Host": "evil.example"}).status == 403
    assert ask(url, method="GET", query="SELECT 1", headers={"Sec-Fetch-Site": "cross-site"}).status == 403
    own = ask(url, "SELECT 1", headers={"Origin": url})
    assert own.status == 200
    assert not [name for name in own.headers if name.lower().startswith("access-control")]


def test_forms_carry_statements_and_bodies_have_a_bound(url: str) -> None:
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    fields = b'--x\r\nContent-Disposition: form-data; name="query"\r\n\r\nSELECT 41 + 1\r\n--x--\r\n'
    assert ask(url, fields, headers=multipart).text == "42\n"
    assert ask(url, b"no form at all", headers=multipart).status == 400
    assert ask(url, "SELECT 1" + " " * 2_000_000).status == 400


def test_keys_are_asked_for_and_show_their_project_alone(locked_url: str, store: Store) -> None:
    for project in ("team-a", "team-b"):
        row = {"project": project, "evaluation_id": str(uuid.uuid4()), "name": "n", "source": "code"}
        store.insert("evaluations", [row])
    sql = "SELECT DISTINCT project FROM evaluations WHERE startsWith(project, 'team-') ORDER BY 1"
    assert ask(locked_url, sql).headers["X-ClickHouse-Exception-Code"] == "516"
    assert ask(locked_url, sql, headers={"Authorization": "Bearer " + "c" * 20}).status == 403
    assert ask(locked_url, sql, headers={"Authorization": f"Bearer {KEY_OF_A}"}).text == "team-a\n"
    assert ask(locked_url, sql, headers={"X-ClickHouse-User": "any", "X-ClickHouse-Key": KEY_OF_B}).text == "team-b\n"
    assert ask(locked_url, sql, user="any", password=KEY_OF_A).text == "team-a\n"
    with client(locked_url, username="any", password=KEY_OF_B) as connected:
        assert connected.query(sql).result_rows == [("team-b",)]
    assert ask(locked_url, sql, headers={"Authorization": f"Bearer {TOKEN}"}).text == "team-a\nteam-b\n"


def test_commands_read_through_the_port_with_the_services_token(locked_url: str) -> None:
    owner = Owner(pid=1, http="http://127.0.0.1:1", sql=locked_url, token=TOKEN)
    with RemoteStore(owner, shown="chdb:///x") as remote:
        assert remote.query("SELECT {n:UInt8} AS n", {"n": 4}).dicts() == [{"n": 4}]
        assert remote.query_untrusted("SELECT count() FROM spans WHERE 0").rows == [(0,)]
        with pytest.raises(QueryError, match="is not allowed"):
            remote.query("SELECT file('/etc/passwd')")
        with pytest.raises(StoreError, match="only reads"):
            remote.command("DROP TABLE spans")
        with pytest.raises(StoreUnreachable):
            remote.insert("cursors", [{"consumer": "x"}])  # nothing listens on the other port
    with pytest.raises(StoreUnreachable):
        RemoteStore(Owner(pid=1, sql=locked_url, token="wrong"), shown="chdb:///x")
