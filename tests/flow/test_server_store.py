"""The whole collector with a ClickHouse server as its store, over HTTP: what is sent is there; a wrong or read-only user is told so."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalspan.queries.store.client import open_store

from ..collector.traffic import request_of, span_ids

SERVER = Path(__file__).parents[1] / "queries" / "writable_server.py"
SPAN = {
    "traceId": "5b8efff798038103d269b633813fc60c",
    "spanId": "eee19b7ec3c1b174",
    "name": "hello",
    "kind": 1,
    "startTimeUnixNano": f"{time.time_ns()}",
    "endTimeUnixNano": f"{time.time_ns() + 1}",
}
BODY = {"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]}


def served(directory: Path, port: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, str(SERVER), str(directory), str(port)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("server")) as process:
        assert process.stdin
        assert process.stdout
        yield process.stdout.readline().strip()
        process.stdin.close()


def store(server: str, user: str, password: str = "pass%20word") -> str:
    return server.replace("http://", f"http://{user}:{password}@") + "/evalspan"


def serve(dsn: str, home: Path) -> list[str]:
    command = [sys.executable, "-m", "evalspan", "serve", "--store", dsn, "--port", "0", "--grpc-port", "-1"]
    return ["env", f"XDG_DATA_HOME={home}", *command]


def test_spans_sent_to_a_collector_are_on_the_server(server: str, tmp_path: Path) -> None:
    dsn = store(server, "writer")
    with subprocess.Popen(serve(dsn, tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        try:
            assert process.stdout.readline() == "ready\n"
            address = process.stderr.readline().split("OTLP at ")[1].split(",")[0]
            send = ["curl", "-sS", "--fail", "-H", "Content-Type: application/json", "-d", json.dumps(BODY)]
            subprocess.run([*send, f"{address}/v1/traces"], check=True, timeout=30)
            with open_store(dsn, migrate=False) as opened:
                until = time.monotonic() + 30
                while not (rows := opened.query("SELECT name FROM spans").rows) and time.monotonic() < until:
                    time.sleep(0.2)
            assert rows == [("hello",)]
        finally:
            process.terminate()


CHECKS = """
from evalspan.evaluators import Score, evaluator

@evaluator(name="any", version="1", threshold=0.5)
def any_output(output):
    return Score(1.0)
"""


def test_score_follow_scores_once_what_comes_in_on_the_server(server: str, tmp_path: Path) -> None:
    dsn = store(server, "writer").replace("/evalspan", "/followed")
    (tmp_path / "checks.py").write_text(CHECKS)
    command = [sys.executable, "-m", "evalspan"]
    with open_store(dsn):
        pass  # makes the tables
    settings = tmp_path / "evalspan.toml"
    settings.write_text("[receive]\nflush_ms = 100\n")
    collector = subprocess.Popen(
        [*serve(dsn, tmp_path), "--sql-port", "-1", "--config", str(settings)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    follow = [*command, "score", "--follow", "--suite", "checks:any_output", "--store", dsn]
    follower = subprocess.Popen(follow, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        assert collector.stdout
        assert collector.stderr
        assert follower.stderr
        assert collector.stdout.readline() == "ready\n"
        assert "after they are stored" in follower.stderr.readline()
        accepted, _ = posted(collector.stderr.readline().split("OTLP at ")[1].split(",")[0], 5)
        with open_store(dsn, migrate=False) as opened:
            until = time.monotonic() + 90
            asked = "SELECT span_id, count(), any(score) FROM evaluations WHERE name = 'any' GROUP BY span_id"
            while len(rows := opened.query(asked).rows) < len(accepted) and time.monotonic() < until:
                time.sleep(0.5)
        assert sorted(rows) == sorted((span_id, 1, 1.0) for span_id in accepted)
    finally:
        for process in (follower, collector):
            process.terminate()
            assert process.wait(60) == 0, process.stderr and process.stderr.read()


def test_while_the_server_is_away_the_log_fills_to_its_bound_then_503_and_all_arrives_afterwards(
    tmp_path: Path,
) -> None:
    (tmp_path / "server").mkdir()
    running = served(tmp_path / "server")
    assert running.stdout
    address = running.stdout.readline().strip()
    settings = tmp_path / "evalspan.toml"
    settings.write_text("[receive]\nlog_bytes = 1000000\nflush_ms = 50\n")
    command = [*serve(store(address, "writer"), tmp_path), "--sql-port", "-1", "--config", str(settings)]
    collector = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert collector.stdout
        assert collector.stderr
        assert collector.stdout.readline() == "ready\n"
        otlp = collector.stderr.readline().split("OTLP at ")[1].split(",")[0]
        accepted, refusal = posted(otlp, 1)
        assert refusal is None
        running.kill()
        running.wait(30)
        more, refusal = posted(otlp, 200)
        accepted += more
        assert refusal is not None, "the log never reached its bound"
        assert (refusal.code, refusal.headers["Retry-After"]) == (503, "1")
        assert b"the log is full" in refusal.read()
        assert 0 < log_bytes(tmp_path) <= 1_000_000
        until = time.monotonic() + 60
        while ready(otlp) and time.monotonic() < until:
            time.sleep(0.3)
        assert not ready(otlp), "a store that takes nothing is not said"
        running = served(tmp_path / "server", int(address.rpartition(":")[2]))
        assert running.stdout
        assert running.stdout.readline().strip() == address
        with open_store(store(address, "writer"), migrate=False) as opened:
            until = time.monotonic() + 60
            while opened.query("SELECT count() FROM spans").rows != [(len(accepted),)] and time.monotonic() < until:
                time.sleep(0.3)
            stored = opened.query("SELECT span_id, count() FROM spans GROUP BY span_id").rows
        assert sorted(stored) == sorted((span_id, 1) for span_id in accepted)
        assert posted(otlp, 1)[1] is None
        collector.terminate()
        said = collector.stderr.read()
        assert collector.wait(60) == 0, said
        # Told once and short, and nothing else gave up meanwhile.
        assert said.count("insert of spans failed") == 1, said
        assert max(map(len, said.splitlines())) < 600, said
        assert "died" not in said
    finally:
        for process in (collector, running):
            process.kill()
            process.wait(30)


def posted(otlp: str, most: int) -> tuple[list[str], urllib.error.HTTPError | None]:
    """Sends requests of 10 spans until one is refused; the ids of the spans that were accepted, and the refusal."""
    accepted: list[str] = []
    for _ in range(most):
        request = request_of(10, content=2000)
        headers = {"Content-Type": "application/x-protobuf"}
        try:
            sent = urllib.request.Request(f"{otlp}/v1/traces", request.SerializeToString(), headers)
            urllib.request.urlopen(sent, timeout=20).close()
        except urllib.error.HTTPError as refusal:
            return accepted, refusal
        accepted += span_ids(request)
    return accepted, None


def ready(otlp: str) -> bool:
    """What the service's readiness probe would say."""
    try:
        urllib.request.urlopen(f"{otlp}/readyz", timeout=20).close()
    except urllib.error.HTTPError as error:
        return error.code != 503
    return True


def log_bytes(home: Path) -> int:
    """Bytes of spans that wait in the log of a collector whose store is a server."""
    return sum(path.stat().st_size for path in home.glob("evalspan/**/log/spans/*"))


@pytest.mark.parametrize(("user", "password", "told"), [("writer", "wrong", "516"), ("reader", "pass%20word", "497")])
def test_a_user_who_may_not_write_is_told_so_at_the_start(
    server: str, tmp_path: Path, user: str, password: str, told: str
) -> None:
    dsn = store(server, user, password).replace("/evalspan", "/another")
    done = subprocess.run(serve(dsn, tmp_path), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode not in (0, 1), done.stderr
    assert told in done.stderr or "privileges" in done.stderr or "Authentication" in done.stderr
    assert "pass word" not in done.stderr
    assert "Traceback" not in done.stderr
