"""Faults of the machine under load: folders deleted, no descriptors, little memory, a clock that jumps, a store that is away."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..collector.serving import Collector, rows_of, serving
from ..collector.traffic import request_of, span_ids
from . import restless_clock
from .restless_clock import STEPS_FILE
from .senders import Acknowledged, Sender
from .test_nothing_acknowledged_is_lost import KEEP, TAIL, check, drained, report
from .test_parts_of_the_service import readiness

MODES = {"keep": KEEP, "tail": TAIL}


@pytest.fixture
def soak(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--soak"))


@contextmanager
def loaded(collector: Collector, count: int = 2) -> Iterator[Acknowledged]:
    """Senders beside the block; afterwards what waits is sent until it is acknowledged."""
    acknowledged, stop = Acknowledged(), threading.Event()
    senders = [Sender(collector, [], stop) for _ in range(count)]
    for sender in senders:
        sender.acknowledged = acknowledged
        sender.start()
    try:
        yield acknowledged
    finally:
        stop.set()
        for sender in senders:
            sender.join(60)
    for sender in senders:
        sender.send_waiting(until=time.monotonic() + 60)


def ended_well(collector: Collector) -> None:
    drained(collector)
    assert collector.stop() == 0, collector.said


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_the_folder_of_the_logs_is_deleted_again_and_again_under_load(mode: str, tmp_path: Path, soak: bool) -> None:
    """What is lost are complete segments that were deleted before their insert, and each of them is counted."""
    path, times = tmp_path / "store", 20 if soak else 1
    with serving(path, settings=MODES[mode]) as collector:
        with loaded(collector) as acknowledged:
            for _ in range(times):
                time.sleep(1)
                shutil.rmtree(path / "log", ignore_errors=True)
        until = time.monotonic() + 60
        while readiness(collector)[0] != 200:
            assert time.monotonic() < until
            time.sleep(0.2)
        while collector.metrics()["log_backlog_bytes_spans"]:
            assert time.monotonic() < until + 120
            time.sleep(0.2)
        numbers = collector.metrics()
        lost = sum(value for name, value in numbers.items() if name.startswith("log_lost_bytes_total"))
        # What comes after the last of it is stored as ever.
        later = request_of(5)
        assert collector.post(later.SerializeToString()).status == 200
        assert collector.stop() == 0, collector.said
    assert len(acknowledged.plain) > 50
    stored = {row[0] for row in rows_of(path, "SELECT span_id FROM spans")}
    missing = acknowledged.plain - stored
    if mode == "keep":
        assert set(span_ids(later)) <= stored
        assert not missing or lost, f"{len(missing)} spans are gone and nothing counts them"
    report(
        f"log deleted, {mode}",
        times,
        {"spans": len(acknowledged.plain), "missing": len(missing), "lost_bytes": int(lost)},
    )


@pytest.mark.slow
def test_the_folder_of_the_store_is_deleted_under_load_and_the_service_says_so(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with serving(path, settings=KEEP) as collector:
        assert collector.post(request_of(5).SerializeToString()).status == 200
        shutil.rmtree(path, ignore_errors=True)
        until = time.monotonic() + 60
        while True:
            status, said = readiness(collector)
            if status == 503 and said["parts"]["log"]["state"] == "failed":
                break
            assert time.monotonic() < until, said
            time.sleep(0.2)
        answer = collector.request("GET", "/healthz")
        assert answer.status == 200
        collector.process.terminate()
        assert collector.process.wait(90) is not None


@pytest.mark.slow
def test_without_descriptors_nothing_acknowledged_is_lost_and_it_recovers(tmp_path: Path, soak: bool) -> None:
    """Beside what the store itself has open there are so few that connections of a flood take all."""
    path, times = tmp_path / "store", 10 if soak else 1
    with serving(path, "--sql-port", "0", settings=KEEP) as collector:
        open_files = len(list(Path(f"/proc/{collector.process.pid}/fd").iterdir()))
        before = resource.prlimit(collector.process.pid, resource.RLIMIT_NOFILE)
        with loaded(collector) as acknowledged:
            for _ in range(times):
                resource.prlimit(collector.process.pid, resource.RLIMIT_NOFILE, (open_files + 6, before[1]))
                time.sleep(2)
                resource.prlimit(collector.process.pid, resource.RLIMIT_NOFILE, before)
                time.sleep(1)
        ended_well(collector)
    counts = check(path, acknowledged, sampled=False)
    report("descriptors exhausted", times, counts)


@pytest.mark.slow
def test_with_little_memory_requests_are_refused_or_stored_and_nothing_is_lost(tmp_path: Path, soak: bool) -> None:
    path, seconds = tmp_path / "store", 60 if soak else 6
    settings = KEEP + "max_inflight_bytes = 4000000\n"
    with serving(path, settings=settings) as collector:
        limit = collector.virtual_bytes() + (512 << 20)
        resource.prlimit(collector.process.pid, resource.RLIMIT_AS, (limit, limit))
        with loaded(collector, 4) as acknowledged:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                large = request_of(100, content=20_000).SerializeToString()
                assert collector.post(large).status in (200, 413, 503)
        resource.prlimit(collector.process.pid, resource.RLIMIT_AS, (limit, limit))
        ended_well(collector)
    counts = check(path, acknowledged, sampled=False)
    report("memory limited", seconds, counts)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_clock_that_is_moved_loses_and_doubles_nothing(mode: str, tmp_path: Path, soak: bool) -> None:
    path = tmp_path / "store"
    steps = [3600, -7200, 86_400, -90_000, 0.5, -0.5] * (4 if soak else 1)
    program = (restless_clock.__file__,)
    with serving(path, settings=MODES[mode], program=program) as collector:
        with loaded(collector) as acknowledged:
            for step in steps:
                time.sleep(1)
                with (tmp_path / STEPS_FILE).open("a") as file:
                    file.write(f"{step}\n")
            time.sleep(1)
        ended_well(collector)
    counts = check(path, acknowledged, sampled=mode == "tail")
    report(f"clock moved, {mode}", len(steps), counts)


@pytest.mark.slow
def test_of_two_services_that_start_on_one_store_one_takes_it_and_loses_nothing(tmp_path: Path, soak: bool) -> None:
    path, times = tmp_path / "store", 20 if soak else 1
    refused = 0
    with serving(path, settings=KEEP) as collector:
        command = [sys.executable, "-m", "evalspan", "serve", "--store", f"chdb://{path}", "--port", "0"]
        with loaded(collector) as acknowledged:
            for _ in range(times):
                done = subprocess.run(
                    [*command, "--grpc-port", "-1", "--sql-port", "-1"], capture_output=True, timeout=60, check=False
                )
                refused += done.returncode == 5
        ended_well(collector)
    assert refused == times
    report("two services", times, check(path, acknowledged, sampled=False))
