"""doctor, status and tail against a running collector, as a user runs them: output, exit codes, reasons."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .serving import Collector, serving
from .traffic import request_of, span_ids


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    path = tmp_path_factory.mktemp("commands") / "store"
    with serving(path, "--sql-port", "0", settings="[receive]\nflush_ms = 50") as running:
        yield running


def evalspan(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "evalspan", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": "/usr/bin", "HOME": "/nonexistent", **(environment or {})},
    )


def dsn(collector: Collector) -> str:
    return f"chdb://{collector.path}"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_service_that_takes_spans_does_without_the_libraries_of_pages_that_nobody_opened(
    collector: Collector,
) -> None:
    assert collector.post(request_of(3).SerializeToString()).status == 200
    loaded = Path(f"/proc/{collector.process.pid}/maps").read_text()
    assert "chdb" in loaded
    assert [name for name in ("pyarrow", "scipy", "numpy", "pandas") if f"/{name}/" in loaded] == []


def test_doctor_finds_the_service_and_proves_that_a_span_becomes_queryable(collector: Collector) -> None:
    done = evalspan("doctor", "--store", dsn(collector))
    assert done.returncode == 0, done.stderr
    assert f"accepted by {collector.owner['http']}" in done.stdout
    assert "queryable" in done.stdout


def test_doctor_exits_5_when_nothing_answers_and_names_the_fix(tmp_path) -> None:
    done = evalspan("doctor", "--store", f"chdb://{tmp_path / 'none'}", "--endpoint", "http://127.0.0.1:9")
    assert done.returncode == 5
    assert "evalspan serve" in done.stderr


@pytest.mark.slow
def test_status_names_senders_and_what_was_refused(collector: Collector) -> None:
    request = request_of(3, service="checkout")
    request.resource_spans[0].scope_spans[0].spans[0].trace_id = bytes(16)
    assert collector.post(request.SerializeToString()).status == 200
    assert evalspan("doctor", "--store", dsn(collector)).returncode == 0  # what was sent before it is stored, too
    done = evalspan("status", "--store", dsn(collector), "--format", "json")
    assert done.returncode == 0, done.stderr
    (sender,) = [row for row in json.loads(done.stdout) if row["service"] == "checkout"]
    assert (sender["spans"], sender["genai_spans"], sender["errors"]) == (2, 2, 0)
    assert "spans_rejected_total" in done.stderr
    counters = json.loads(evalspan("status", "--store", dsn(collector), "--counters", "--format", "json").stdout)
    rejected = [row["value"] for row in counters if row["counter"] == "spans_rejected_total"]
    assert sum(rejected) == 1


def test_tail_prints_each_span_once_as_it_is_stored(collector: Collector) -> None:
    command = [sys.executable, "-m", "evalspan", "tail", "--store", dsn(collector), "--service", "tailed"]
    command += ["--limit", "6", "--format", "jsonl", "--every", "0.1"]
    following = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert following.stderr is not None
    assert "waiting" in following.stderr.readline()
    sent = []
    for _ in range(2):
        request = request_of(3, service="tailed")
        assert collector.post(request.SerializeToString()).status == 200
        sent += span_ids(request)
    out, _ = following.communicate(timeout=120)
    assert following.returncode == 0
    assert sorted(json.loads(line)["span_id"] for line in out.splitlines()) == sorted(sent)


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["table", "csv", "jsonl"])
def test_a_pipe_that_its_reader_left_ends_a_command_quietly_with_the_code_of_a_broken_pipe(
    collector: Collector, format_
) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "evalspan", "sql", "--store", f"chdb://{collector.path}", "--format", format_]
    try:
        done = subprocess.run(
            [*command, "SELECT number FROM numbers(3)"], stdout=write, stderr=subprocess.PIPE, timeout=120, check=False
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")
