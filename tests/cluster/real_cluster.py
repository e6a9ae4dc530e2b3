"""A real ClickHouse cluster of two shards (compose.yaml beside this file): schema, placement, joins, retention, erasure, routing.

    python -m pytest tests/cluster/real_cluster.py

The name keeps it out of the suite: it needs containers. EVALSPAN_TEST_SHARDS names the servers: first shard, its second
replica, second shard.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evalspan.queries import catalog
from evalspan.queries.erase import erase_user
from evalspan.queries.message_events import SpanMessages, add_messages
from evalspan.queries.store.client import Store, open_store
from evalspan.queries.store.config import RetentionConfig
from evalspan.queries.store.migrations import migrations
from evalspan.queries.store.retention import drop_old
from tests.queries.test_every_query import GIVEN

SHARDS = os.environ.get(
    "EVALSPAN_TEST_SHARDS",
    " ".join(f"http://default:evalspan@127.0.0.1:{port}/evalspan" for port in (18123, 18124, 18125)),
).split()
QUERIES = Path(__file__).parents[1] / "queries"
otlp: dict[str, Any] = runpy.run_path(str(QUERIES / "test_otlp_columns.py"))
COUNT = "SELECT count() FROM spans WHERE project = {p:String}"


@pytest.fixture(scope="module")
def stores() -> Iterator[tuple[Store, Store, Store]]:
    """The first shard, its replica and the second shard; the schema is made by the command of the runbook."""
    command = [sys.executable, "-m", "evalspan", "migrate", "--store", SHARDS[0], "--cluster", "main"]
    made = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert made.returncode == 0, made.stderr
    assert len(made.stdout.splitlines()) == len(migrations())
    again = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert (again.returncode, again.stdout) == (0, "")
    first, replica, second = (open_store(dsn) for dsn in SHARDS)
    yield first, replica, second
    for store in (first, replica, second):
        store.close()


def _insert(store: Store, project: str, numbers: range, *, token: str = "") -> list[Any]:
    spans = [otlp["span"](n, otlp["CHAT"]) for n in numbers]
    store.insert_otlp(otlp["record"](otlp["request"](spans).SerializeToString(), project), token=token or project)
    return spans


def _count(store: Store, project: str) -> int:
    return int(store.query(COUNT, {"p": project}).rows[0][0])


def test_every_server_has_the_same_tables_and_the_cluster_is_found_by_them(stores: tuple[Store, ...]) -> None:
    assert [store.cluster for store in stores] == ["main"] * 3
    rows = (
        stores[0]
        .query(
            "SELECT hostName(), count(), groupUniqArray(engine) FROM clusterAllReplicas('main', system.tables)"
            " WHERE database = 'evalspan' GROUP BY 1"
        )
        .rows
    )
    assert len(rows) == 3
    assert len({count for _, count, _ in rows}) == 1


def test_a_segment_lies_on_its_collectors_shard_is_seen_from_all_and_a_retry_adds_nothing(
    stores: tuple[Store, ...],
) -> None:
    first, replica, second = stores
    project = str(uuid.uuid4())
    _insert(first, project, range(40))
    _insert(second, project, range(100, 130), token=f"{project}-2")
    assert [_count(store, project) for store in (first, second)] == [70, 70]
    here = "SELECT count() FROM spans_local WHERE project = {p:String}"
    assert [store.query(here, {"p": project}).rows[0][0] for store in (first, second)] == [40, 30]
    replica.command("SYSTEM SYNC REPLICA spans_local")
    assert _count(replica, project) == 70
    _insert(replica, project, range(40))  # the same token, on the shard's other replica
    assert _count(second, project) == 70


def test_messages_that_come_later_stay_on_the_spans_shard(stores: tuple[Store, ...]) -> None:
    first, _, second = stores
    project = str(uuid.uuid4())
    spans = [otlp["span"](n, {}) for n in range(20)]
    second.insert_otlp(otlp["record"](otlp["request"](spans).SerializeToString(), project), token=project)
    said = [SpanMessages(s.trace_id.hex(), s.span_id.hex(), input="hello", output="hi", system="s") for s in spans]
    add_messages(second, project, said)
    sql = "SELECT count(), countIf(input = 'hello') FROM spans WHERE project = {p:String}"
    assert first.query(sql, {"p": project}).rows == [(20, 20)]


def test_scores_are_placed_by_trace_and_joined_with_spans_of_other_shards(stores: tuple[Store, ...]) -> None:
    first, _, second = stores
    project = str(uuid.uuid4())
    spans = [*_insert(first, project, range(200, 230)), *_insert(second, project, range(300, 330), token=f"{project}2")]
    row = {"project": project, "name": "n", "evaluator_version": "1", "source": "code", "score": 0.5}
    first.insert(
        "evaluations",
        [
            {**row, "evaluation_id": str(uuid.uuid4()), "trace_id": s.trace_id.hex(), "span_id": s.span_id.hex()}
            for s in spans
        ],
    )
    joined = (
        "SELECT count() FROM evaluations AS e INNER JOIN spans AS s"
        " ON s.project = e.project AND s.trace_id = e.trace_id AND s.span_id = e.span_id WHERE e.project = {p:String}"
    )
    within = "SELECT count() FROM evaluations WHERE trace_id IN (SELECT trace_id FROM spans WHERE project = {p:String})"
    for store in (first, second):
        assert store.query(joined, {"p": project}).rows == [(60,)]
        assert store.query(within, {"p": project}).rows == [(60,)]
        assert store.query_untrusted("SELECT count() FROM evaluations", project=project).rows == [(60,)]


def test_every_query_of_the_library_and_of_the_pages_runs(stores: tuple[Store, ...]) -> None:
    for name in catalog.names():
        query = catalog.get(name)
        query.run(stores[2], **{one.name: GIVEN[one.name] for one in query.parameters if one.default is None})


def test_small_tables_are_the_same_on_every_server(stores: tuple[Store, ...]) -> None:
    case = str(uuid.uuid4())
    stores[2].insert("examples", [{"project": case, "dataset": "d", "example_id": case, "input": "{}"}])
    stores[0].command("SYSTEM SYNC REPLICA examples")
    found = stores[0].query("SELECT count() FROM examples WHERE project = {p:String}", {"p": case}).rows
    assert found == [(1,)]


def test_old_partitions_go_on_every_shard(stores: tuple[Store, ...]) -> None:
    first, _, second = stores
    project = str(uuid.uuid4())
    _insert(first, project, range(400, 410))
    _insert(second, project, range(500, 510), token=f"{project}2")
    drop_old(first, RetentionConfig(spans_days=1, evaluations_days=0), now=datetime.now(UTC) + timedelta(days=36_500))
    assert _count(second, project) == 0


def test_a_users_rows_go_from_every_shard(stores: tuple[Store, ...]) -> None:
    first, _, second = stores
    project = str(uuid.uuid4())
    for store, numbers in ((first, range(600, 605)), (second, range(700, 705))):
        spans = [otlp["span"](n, {**otlp["CHAT"], "user.id": "4711" if n % 2 else "other"}) for n in numbers]
        body = otlp["record"](otlp["request"](spans).SerializeToString(), project)
        store.insert_otlp(body, token=f"{project}{numbers.start}")
    erased = {one.table: one.rows for one in erase_user(second, "4711", project)}
    assert erased["spans"] == 4
    assert _count(first, project) == 6


def test_two_collectors_behind_a_router_get_each_trace_whole(stores: tuple[Store, ...], tmp_path: Path) -> None:
    services = []
    try:
        for place, (dsn, port) in enumerate(((SHARDS[0], 24317), (SHARDS[2], 34317))):
            command = [
                *(sys.executable, "-m", "evalspan", "serve", "--store", dsn),
                *("--port", "0", "--grpc-port", str(port), "--sql-port", "0"),
            ]
            environment = {**os.environ, "EVALSPAN_RECEIVE_LOG_PATH": str(tmp_path / f"log{place}")}
            services.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
        for service in services:
            assert service.stdout
            assert any("ready" in line for line in service.stdout)
        name = f"routed-{uuid.uuid4()}"
        program = (
            "import evalspan, sys\n"
            "handle = evalspan.init(sys.argv[1])\n"
            "for n in range(100):\n"
            "    with evalspan.span('outer'):\n"
            "        with evalspan.span('inner'):\n"
            "            pass\n"
            "handle.flush()\n"
        )
        sender = {
            **os.environ,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:14317",
        }
        subprocess.run([sys.executable, "-c", program, name], env=sender, timeout=120, check=True)
        here = "SELECT DISTINCT trace_id FROM spans_local WHERE service = {s:String}"
        until = time.monotonic() + 60
        traces: list[set[str]] = []
        while time.monotonic() < until:
            traces = [{row[0] for row in store.query(here, {"s": name}).rows} for store in (stores[0], stores[2])]
            whole = stores[0].query("SELECT count() FROM spans WHERE service = {s:String}", {"s": name}).rows[0][0]
            if whole == 200:
                break
            time.sleep(0.5)
        assert whole == 200
        assert all(traces)
        assert not traces[0] & traces[1]
        assert len(traces[0] | traces[1]) == 100
    finally:
        for service in services:
            service.terminate()
        for service in services:
            service.wait(60)
