"""The whole collector with a ClickHouse server as its store, over HTTP: what is sent is there; a wrong or read-only user is told so."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalspan.queries.database import open_store

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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command = [sys.executable, str(SERVER), str(tmp_path_factory.mktemp("server"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
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
