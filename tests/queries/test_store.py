"""The store's own promises: one owner, clear refusals, rows in and out, retention, settings of its DSN."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from evalspan.errors import QueryError, StoreLocked, StoreUnreachable, UsageError
from evalspan.queries.store.client import Store, open_store
from evalspan.queries.store.config import RetentionConfig, parse_dsn
from evalspan.queries.store.lock_file import Owner, owner_of, remove_lock_file, service_of, write_lock_file
from evalspan.queries.store.retention import drop_old

HOLD = """
import sys, time
from evalspan.queries.store.client import open_store
with open_store(sys.argv[1]):
    print("open", flush=True)
    sys.stdin.readline()
"""


INSERT = """
import sys
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from evalspan.collector.log.framing import frame
from evalspan.queries.store.client import open_store
request = ExportTraceServiceRequest()
request.resource_spans.add().scope_spans.add().spans.add(trace_id=bytes([1] * 16), span_id=bytes([2] * 8), name="one")
with open_store(sys.argv[1]) as store:
    store.insert_otlp(b"".join(frame(request.SerializeToString(), "p", 1)), token="one")
    print(store.query("SELECT count() FROM spans").rows)
    store.insert("evaluations", [{"trace_id": "a", "name": "tone", "score": 1.0}])
    print(store.query("SELECT name, score FROM evaluations").rows)
"""


def row(project: str, **cells: object) -> dict[str, object]:
    return {"project": project, "evaluation_id": str(uuid.uuid4()), "name": "n", "source": "code", **cells}


@pytest.mark.slow
@pytest.mark.parametrize("directory", ["empty", "/proc"])
def test_spans_are_stored_whatever_the_working_directory_is_and_nothing_is_left_in_it(
    tmp_path: Path, directory: str
) -> None:
    working = tmp_path / directory  # an absolute one stays what it is
    working.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", INSERT, f"chdb://{tmp_path / 'store'}"], cwd=working, capture_output=True, text=True
    )
    assert "[(1,)]" in done.stdout, done.stderr
    assert directory == "/proc" or not list(working.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "o'hara {a,b} *"])
def test_rows_come_in_without_the_machines_temporary_directory_wherever_the_store_is(tmp_path: Path, name: str) -> None:
    # A file there would outlive a killed process, with what users said in it.
    program = f"import tempfile\ntempfile.tempdir = '/not there'\n{INSERT}"
    done = subprocess.run([sys.executable, "-c", program, f"chdb://{tmp_path / name}"], capture_output=True, text=True)
    assert "[(1,)]\n[('tone', 1.0)]" in done.stdout, done.stderr


@pytest.mark.slow
def test_a_second_process_is_told_who_has_the_store_and_the_way_in(tmp_path: Path) -> None:
    directory = tmp_path / "held"
    dsn = f"chdb://{directory}"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, dsn], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin
    assert holder.stdout
    try:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreLocked, match=f"process {holder.pid}, which serves no HTTP"):
            open_store(dsn)
        write_lock_file(
            directory, Owner(holder.pid, http="http://127.0.0.1:4318", sql="http://127.0.0.1:8123", token="t")
        )
        with pytest.raises(StoreLocked, match=f"`evalspan serve`, process {holder.pid}") as refusal:
            open_store(dsn)
        assert "http://127.0.0.1:8123" in refusal.value.hint
        command = [sys.executable, "-m", "evalspan", "migrate", "--store", dsn]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert answer.returncode == 5
        assert str(holder.pid) in answer.stderr
    finally:
        holder.stdin.close()
        holder.wait(30)
    assert owner_of(directory) is None or owner_of(directory) != Owner(holder.pid, sql="x")


def test_the_services_token_is_for_its_owner_alone_and_a_dead_service_does_not_count(tmp_path: Path) -> None:
    mine = Owner(os.getpid(), http="http://h", sql="http://s", token="secret")
    write_lock_file(tmp_path, mine)
    assert stat.S_IMODE((tmp_path / "service.json").stat().st_mode) == 0o600
    assert service_of(tmp_path) == mine
    remove_lock_file(tmp_path)
    assert service_of(tmp_path) is None
    finished = subprocess.Popen([sys.executable, "-c", ""])
    finished.wait()
    write_lock_file(tmp_path, Owner(finished.pid, http="http://h", sql="http://s"))
    assert service_of(tmp_path) is None
    remove_lock_file(tmp_path)
    assert (tmp_path / "service.json").exists()  # somebody else's stays
    (tmp_path / "service.json").write_text("{broken")
    assert service_of(tmp_path) is None


def test_a_second_path_in_one_process_is_refused_with_the_reason(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreLocked, match="already has another embedded store open"):
        open_store(f"chdb://{tmp_path / 'other'}")


def test_an_unreachable_server_is_named_without_its_password() -> None:
    with pytest.raises(StoreUnreachable) as refusal:
        open_store("http://user:hunter2@127.0.0.1:1/evalspan")
    assert "user@127.0.0.1:1" in str(refusal.value)
    assert "hunter2" not in str(refusal.value) + refusal.value.hint


@pytest.mark.parametrize(
    "dsn", ["sqlite:///x", "chdb://", "http://", "https://host:99999", "nonsense", "http://u:pw@h/a;b", "chdb:///x?y"]
)
def test_a_dsn_that_is_none_is_refused_without_showing_its_password(dsn: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse_dsn(dsn)
    assert ":pw@" not in str(refusal.value)


def test_dsns_are_read_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_dsn("chdb:///tmp/a%20b").path.endswith("/a b")
    server = parse_dsn("https://me:p%40ss@db.example/mine")
    assert (server.host, server.port, server.password, server.database) == ("db.example", 8443, "p@ss", "mine")
    assert server.shown == "https://me@db.example:8443/mine"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert parse_dsn(None).path == str(tmp_path.resolve() / "evalspan") or sys.platform == "darwin"
    monkeypatch.setenv("EVALSPAN_STORE", f"chdb://{tmp_path}/named")
    assert parse_dsn("").path == str(tmp_path.resolve() / "named")


def test_rows_come_back_as_they_went_in(store: Store) -> None:
    project = str(uuid.uuid4())
    moment = datetime(2026, 3, 1, 12, 0, 0, 125000, tzinfo=timezone(timedelta(hours=5)))
    example = {
        "project": project,
        "dataset": "d",
        "example_id": "1",
        "partition": "golden",
        "input": {"question": "Wie viel? 日本\n\\"},
        "expected_output": None,
        "metadata": {"a": [1, 2]},
        "tags": ["x", "y"],
        "created_at": moment,
    }
    store.insert("examples", [example])
    found = store.query("SELECT * FROM examples WHERE project = {p:String}", {"p": project}).dicts()[0]
    assert found["input"] == '{"question":"Wie viel? 日本\\n\\\\"}'
    assert (found["expected_output"], found["tags"], found["metadata"]) == (None, ["x", "y"], '{"a":[1,2]}')
    assert found["created_at"] == moment
    assert found["created_at"].tzinfo is not None
    assert len(found["content_hash"]) == 32


def test_writing_the_same_evaluation_again_overwrites_it_and_deleting_hides_it(store: Store) -> None:
    first = row(str(uuid.uuid4()), score=0.1)
    sql = "SELECT score FROM evaluations WHERE project = {p:String}"
    given = {"p": first["project"]}
    store.insert("evaluations", [first])
    store.insert("evaluations", [{**first, "score": 0.9}])
    assert store.query(sql, given).rows == [(0.9,)]
    store.insert("evaluations", [{**first, "is_deleted": 1}])
    assert store.query(sql, given).rows == []


@pytest.mark.parametrize(
    ("table", "cells", "words"),
    [
        ("evaluations", {"scores": 1}, "did you mean 'score'"),
        ("evaluation", {}, "did you mean 'evaluations'"),
        ("evaluations", {"score": float("nan")}, "nan is not a number"),
        ("evaluations", {"score": float("inf")}, "inf is not a number"),
    ],
)
def test_b12_a_wrong_row_is_refused_with_its_place_and_stores_nothing(
    store: Store, table: str, cells: dict[str, object], words: str
) -> None:
    project = str(uuid.uuid4())
    with pytest.raises(UsageError) as refusal:
        store.insert(table, [row(project), row(project, **cells)])
    assert words in f"{refusal.value} {refusal.value.hint}".lower()
    assert store.query("SELECT count() FROM evaluations WHERE project = {p:String}", {"p": project}).rows == [(0,)]


def test_a_value_that_the_column_cannot_hold_is_clickhouses_refusal(store: Store) -> None:
    with pytest.raises(QueryError):
        store.insert("evaluations", [row("x", passed="perhaps")])
    with pytest.raises(QueryError, match="nope"):
        store.query("SELECT nope FROM spans")
    with pytest.raises(QueryError) as late:
        store.query("SELECT count() FROM numbers(1000000000000000) WHERE sipHash64(number) = 1", timeout_s=0.3)
    assert late.value.code == 159


def test_queries_run_side_by_side(store: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as threads:
        sums = threads.map(
            lambda n: store.query("SELECT sum(number) FROM numbers({n:UInt64})", {"n": n}).rows[0][0], range(1, 60)
        )
    assert list(sums) == [n * (n - 1) // 2 for n in range(1, 60)]


def test_retention_drops_what_is_old_and_arrived_long_ago_and_nothing_else(store: Store) -> None:
    project = str(uuid.uuid4())
    now = datetime.now(UTC)
    old, young = now - timedelta(days=4000), now - timedelta(days=2)
    spans = [(old, old, "gone"), (old - timedelta(days=1), young, "backfilled"), (young, young, "young")]
    for start, arrived, name in spans:
        span = {"project": project, "trace_id": uuid.uuid4().hex, "span_id": uuid.uuid4().hex[:16], "name": name}
        store.insert("spans", [{**span, "start_time": start, "ingested_at": arrived}])
    store.insert(
        "evaluations",
        [
            row(project, span_time=old, created_at=old, label="gone"),
            row(project, span_time=young, created_at=young, label="young"),
        ],
    )

    def left() -> tuple[set[str], set[str]]:
        sql = "SELECT {column} FROM {table} WHERE project = {{p:String}}"
        names = store.query(sql.format(column="name", table="spans"), {"p": project}).rows
        labels = store.query(sql.format(column="label", table="evaluations"), {"p": project}).rows
        return {r[0] for r in names}, {r[0] for r in labels}

    assert drop_old(store, RetentionConfig(spans_days=0, evaluations_days=0)) == []
    assert left() == ({"gone", "backfilled", "young"}, {"gone", "young"})
    dropped = drop_old(store, RetentionConfig(spans_days=3000, evaluations_days=3000))
    assert {d.table for d in dropped} == {"spans", "evaluations"}
    assert left() == ({"backfilled", "young"}, {"young"})


@pytest.mark.slow
def test_the_store_opens_again_after_its_process_was_killed(tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path / 'killed'}"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, dsn], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    assert holder.stdout.readline() == "open\n"
    holder.kill()
    holder.wait(30)
    started = time.monotonic()
    command = [sys.executable, "-m", "evalspan", "sql", "SELECT count() FROM spans", "--store", dsn, "--format", "csv"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (answer.returncode, answer.stdout) == (0, "count()\n0\n"), answer.stderr
    assert time.monotonic() - started < 110


IN_NEW_YORK = """
import sys
from datetime import UTC, datetime
from evalspan.queries.store.client import open_store
moment = datetime(2026, 1, 1, 0, 30, tzinfo=UTC)
sql = "SELECT start_time, toStartOfHour(start_time), toDate(start_time), {t:DateTime64(3)}, start_time = {t:DateTime64(3)} FROM spans"
with open_store(sys.argv[1]) as store:
    store.insert("spans", [{"trace_id": "a", "span_id": "b", "start_time": moment}])
    for ask in (store.query, store.query_untrusted):
        start, hour, day, given, same = ask(sql, {"t": moment}).rows[0]
        assert (start, given, same) == (moment, moment, 1), (start, given, same)
        assert (hour, hour.utcoffset().total_seconds(), day.isoformat()) == (moment.replace(minute=0), 0, "2026-01-01"), hour
"""


@pytest.mark.slow
def test_times_are_utc_whatever_the_machines_zone_is(tmp_path: Path) -> None:
    command = [sys.executable, "-c", IN_NEW_YORK, f"chdb://{tmp_path / 'far'}"]
    environment = {**os.environ, "TZ": "America/New_York"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
