"""The store as a server over HTTP: against chDB with writes allowed, or the ClickHouse that EVALSPAN_TEST_SERVER names."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalspan.errors import QueryError, StoreError, StoreUnreachable
from evalspan.queries import catalog
from evalspan.queries.dimensions import span_dimensions
from evalspan.queries.message_events import SpanMessages, add_messages
from evalspan.queries.store.client import Store, connect, open_store
from evalspan.queries.store.config import RetentionConfig
from evalspan.queries.store.retention import drop_old
from evalspan.queries.untrusted.sql_gate import Limits

from .test_tenancy import MINE, OTHER, _try_all
from .test_tenancy import _row as mixed_row

TABLES = ("spans", "evaluations", "examples", "experiments", "alerts")

HERE = Path(__file__).parent
otlp: dict[str, Any] = runpy.run_path(str(HERE / "test_otlp_columns.py"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if named := os.environ.get("EVALSPAN_TEST_SERVER"):
        yield named.rstrip("/")
        return
    directory = str(tmp_path_factory.mktemp("server"))
    command = [sys.executable, str(HERE / "writable_server.py"), directory]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    yield process.stdout.readline().strip().replace("http://", "http://writer:pass%20word@")
    process.stdin.close()
    process.wait(30)


@pytest.fixture(scope="module")
def remote(server: str) -> Iterator[Store]:
    with open_store(f"{server}/evalspan") as opened:
        yield opened


@pytest.mark.slow
def test_the_schema_is_made_on_a_server_and_a_second_start_changes_nothing(remote: Store, server: str) -> None:
    assert not remote.embedded
    assert "pass" not in remote.dsn
    with connect(f"{server}/evalspan") as again:
        assert len(again.query("SHOW TABLES").rows) == len(remote.query("SHOW TABLES").rows) > 8


def test_otlp_is_decoded_by_the_server_and_the_same_token_adds_nothing(remote: Store) -> None:
    project = str(uuid.uuid4())
    spans = [otlp["span"](n, otlp["CHAT"]) for n in range(20)]
    segment = otlp["record"](otlp["request"](spans).SerializeToString(), project)
    for token in ("a", "a"):
        remote.insert_otlp(segment, token=f"{project}-{token}")
    sql = "SELECT count(), any(request_model), any(system_hash) != '' FROM spans WHERE project = {p:String}"
    assert remote.query(sql, {"p": project}).rows == [(20, "gpt-5-mini", 1)]
    remote.insert_otlp(segment, token=f"{project}-b")  # a client's retry, in a segment of its own
    assert remote.query(sql, {"p": project}).rows == [(20, "gpt-5-mini", 1)]


def test_rows_queries_and_retention_work_over_http(remote: Store) -> None:
    project = str(uuid.uuid4())
    row = {
        "project": project,
        "evaluation_id": str(uuid.uuid4()),
        "name": "n",
        "source": "code",
        "score": 0.5,
        "metadata": {"a": "b"},
    }
    remote.insert("evaluations", [row])
    remote.insert("evaluations", [{**row, "score": 0.75}])
    sql = "SELECT score, metadata, created_at > now() - 600 FROM evaluations WHERE project = {p:String}"
    assert remote.query(sql, {"p": project}).rows == [(0.75, {"a": "b"}, 1)]
    catalog.get("trace_ids").run(remote, prefix="ffff")
    drop_old(remote, RetentionConfig(spans_days=3000, evaluations_days=3000))


def test_errors_of_a_server_are_the_same_as_the_embedded_ones(remote: Store, server: str) -> None:
    with pytest.raises(QueryError, match="nope") as unknown:
        remote.query("SELECT nope FROM spans")
    assert unknown.value.code == 47
    with pytest.raises(QueryError, match="file is not allowed"):
        remote.query_untrusted("SELECT file('/etc/passwd')")
    assert remote.query_untrusted("SELECT 1 AS one").dicts() == [{"one": 1}]
    assert b"".join(remote.stream_untrusted("SELECT number FROM numbers(3) FORMAT CSV")) == b"0\n1\n2\n"
    with pytest.raises(QueryError):
        list(remote.stream_untrusted("SELECT file('/etc/passwd') FORMAT CSV"))
    with pytest.raises((StoreUnreachable, StoreError)) as refused:
        open_store(re.sub(r":[^:@]+@", ":wrong@", server) + "/evalspan")
    assert "wrong" not in str(refused.value)


def test_messages_of_any_length_and_number_reach_their_spans_where_addresses_and_parameters_are_bounded(
    remote: Store,
) -> None:
    project = str(uuid.uuid4())
    spans = [otlp["span"](n, {}) for n in range(1_200)]
    remote.insert_otlp(otlp["record"](otlp["request"](spans).SerializeToString(), project), token=project)
    ids = [(span.trace_id.hex(), span.span_id.hex()) for span in spans]
    assert len(span_dimensions(remote, project, ids)) == len(ids)
    hard = 'it\'s \\ "quoted" {rows} é\n'
    said = [
        SpanMessages(*one, input=f"{n} {hard}", output="x" * (300_000 if n == 7 else 300), system="s")
        for n, one in enumerate(ids)
    ]
    add_messages(remote, project, said)
    rows = remote.query(
        "SELECT span_id, input, output, input_preview, system_hash != '' FROM spans WHERE project = {p:String}",
        {"p": project},
    ).rows
    assert sorted(rows) == sorted((c.span_id, c.input, c.output, c.input, True) for c in said)


FILL = """
import runpy, sys
from evalspan.queries import open_store
otlp = runpy.run_path(sys.argv[2])
with open_store(sys.argv[1]) as store:
    spans = [otlp["span"](n, otlp["CHAT"]) for n in range(30)]
    store.insert_otlp(otlp["record"](otlp["request"](spans).SerializeToString(), sys.argv[3]), token="t")
    row = {"project": sys.argv[3], "evaluation_id": "00000000-0000-0000-0000-000000000007", "name": "n", "score": 0.5}
    store.insert("evaluations", [row])
"""


@pytest.mark.slow
def test_an_embedded_store_is_copied_to_a_server_and_again_without_doubles(
    remote: Store, server: str, tmp_path: Path
) -> None:
    project, source = str(uuid.uuid4()), f"chdb://{tmp_path}/store"
    fill = [sys.executable, "-c", FILL, source, str(HERE / "test_otlp_columns.py"), project]
    subprocess.run(fill, check=True, timeout=120)
    sql = (
        "SELECT count(), uniqExact(span_id), any(request_model), sum(cost_usd) FROM spans WHERE project = {p:String}",
        "SELECT count(), sum(score) FROM evaluations WHERE project = {p:String}",
    )
    for _ in range(2):
        copy = [sys.executable, "-m", "evalspan", "copy-store", source, f"{server}/evalspan"]
        done = subprocess.run(copy, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stderr
        assert "spans: 30 rows" in done.stderr
        spans, scores = (remote.query(text, {"p": project}).rows for text in sql)
        assert spans[0][:3] == (30, 30, "gpt-5-mini")
        assert scores == [(1, 0.5)]


@pytest.fixture
def mixed(remote: Store) -> Iterator[Store]:
    """Parts of the server that hold two projects in one granule."""
    for part in range(2):
        for table in TABLES:
            rows = [mixed_row(table, one, part * 10 + n) for n in range(4) for one in (MINE, OTHER)]
            remote.insert(table, rows)
    yield remote
    for table in TABLES:
        remote.command(f"DELETE FROM {table} WHERE project IN ('{MINE}', '{OTHER}')")


@pytest.mark.slow
def test_a_key_sees_its_project_on_a_server_too_and_conditions_that_are_given_down_change_no_answer(
    mixed: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, refused = _try_all(mixed, 60, seed=17)
    assert answered > 3 * refused
    conditions = (
        "start_time >= '2026-01-05'", "start_time < '2026-01-05 10:00:00'", f"trace_id = '{MINE}-1'",
        f"trace_id = '{OTHER}-1'", f"span_id IN ('{MINE}-2', '{OTHER}-3')", "start_time > now() - INTERVAL 1 HOUR",
    )  # fmt: skip
    every = [f"SELECT count(), max(input) FROM spans WHERE {one}" for one in conditions]
    answers = [mixed.query_untrusted(sql, project=MINE).rows for sql in every]
    assert answers[3][0][0] == 0
    monkeypatch.setattr("evalspan.queries.store.client.table_filters", lambda *_: "")
    assert [mixed.query_untrusted(sql, project=MINE).rows for sql in every] == answers


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM otlp_to_spans",
        "SELECT * FROM spans SETTINGS additional_table_filters = {'evalspan.spans': '1'}",
        "SELECT * FROM (SELECT * FROM spans SETTINGS readonly = 0)",
        "SELECT 1 FROM spans SETTINGS max_memory_usage = 0",
        "SELECT * FROM merge('evalspan', 'spans')",
        "INSERT INTO spans (trace_id) VALUES ('x')",
    ],
)
def test_what_a_key_may_not_do_it_may_not_do_on_a_server(sql: str, remote: Store) -> None:
    with pytest.raises(QueryError):
        remote.query_untrusted(sql, project=MINE)


def test_what_bounds_a_keys_statement_is_sent_whatever_a_server_says_of_bounds_of_its_own(
    remote: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evalspan.queries.store.client._settable", lambda *_: {})
    endless = "SELECT sum(cityHash64(number)) FROM numbers(1000000000000)"
    with pytest.raises(QueryError):  # ended by its time, which nobody but us set
        remote.query_untrusted(endless, project=MINE, limits=Limits(time_s=1))


def test_a_key_is_told_of_no_other_projects_databases_on_a_server(remote: Store) -> None:
    remote.query_untrusted("SELECT 1 FROM spans", project=OTHER)
    names = [name for (name,) in remote.query_untrusted("SHOW DATABASES", project=MINE).rows]
    assert "evalspan" in names
    assert not [name for name in names if name.startswith("evalspan_tenant")]
