"""Faults that a collector meets in the field: fuzzed bodies, a full disk, more load than it can take, wrong clocks."""

from __future__ import annotations

import http.client
import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from ..collector.serving import PROTOBUF, Collector, rows_of, serving
from ..collector.traffic import add_span, request_of, span_ids

NANOSECONDS = 1_000_000_000


def identified(body: bytes) -> set[str]:
    """The ids of the spans in a body that a collector has to store."""
    found = set()
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in group.scope_spans:
            for span in scope.spans:
                if len(span.trace_id) == 16 and len(span.span_id) == 8 and any(span.trace_id) and any(span.span_id):
                    found.add(span.trace_id.hex() + span.span_id.hex())
    return found


def mutated(rng: random.Random) -> bytes:
    """A request that is nearly right: bytes flipped, cut, doubled, swapped, lengths and tags made up, values extreme."""
    request = request_of(rng.randint(1, 3), content=40)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    if rng.random() < 0.5:
        span.start_time_unix_nano = rng.choice([0, 1, 2**63 - 1, 2**63, 2**64 - 1])
        span.end_time_unix_nano = rng.choice([0, 1, 2**63, 2**64 - 1])
        span.trace_state = rng.choice(["ot=th:8", "ot=th:zz", "ot=th:ffffffffffffff", "=,;", "x" * 3000])
        span.attributes.add(key="gen_ai.usage.input_tokens").value.double_value = rng.choice(
            [-1.0, 1e308, float("nan")]
        )
        nested = span.attributes.add(key="deep").value
        for _ in range(rng.randint(0, 40)):
            nested = nested.array_value.values.add()
        span.attributes.add(key="evalspan.sample_weight").value.double_value = rng.choice([-3.0, 0.0, float("inf")])
    body = bytearray(request.SerializeToString())
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        at = rng.randrange(len(body))
        action = rng.randrange(6)
        if action == 0:
            body[at] ^= 1 << rng.randrange(8)
        elif action == 1:
            del body[at:]
        elif action == 2:
            body[at:at] = body[at : at + rng.randrange(60)]
        elif action == 3:
            body[at : at + 1] = rng.choice([b"\xff" * 9, b"\x00", b"\x0b", b"\x0c", b"\x80\x80\x01"])
        elif action == 4:
            body += rng.choice([b"\xc2\x3e\x03abc", b"\xfa\xff\xff\xff\x0f\x00", b"\x18\x96\x01", rng.randbytes(8)])
        else:
            del body[at : at + rng.randrange(1, 9)]
        body = body or bytearray(b"\x00")
    return bytes(body)


class Fuzzer(threading.Thread):
    """Sends its share over one connection and keeps what has to be in the store afterwards."""

    def __init__(self, address: str, seed: int, count: int) -> None:
        super().__init__(daemon=True)
        self.address, self.rng, self.count = address, random.Random(seed), count
        self.expected: set[str] = set()
        self.statuses: dict[int, int] = {}
        self.wrong: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=60)
        for _ in range(self.count):
            body = mutated(self.rng)
            connection.request("POST", "/v1/traces", body, {"Content-Type": PROTOBUF})
            answer = connection.getresponse()
            said = answer.read()
            self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
            try:
                expected = identified(body)
            except DecodeError:
                # Texts that are no UTF-8 are repaired, and the sender is told; anything else is refused.
                if answer.status != 400 and not (answer.status == 200 and said):
                    self.wrong.append(f"{answer.status} for {body.hex()}")
                continue
            if answer.status != 200:
                self.wrong.append(f"{answer.status} {said!r} for {body.hex()}")
            self.expected |= expected


def test_five_thousand_fuzzed_bodies_are_refused_or_stored_and_nothing_else(tmp_path) -> None:
    path = tmp_path / "store"
    with serving(path, settings="[receive]\nsync_ms = 1") as collector:
        fuzzers = [Fuzzer(collector.address, seed, 1250) for seed in range(4)]
        for fuzzer in fuzzers:
            fuzzer.start()
        for fuzzer in fuzzers:
            fuzzer.join(240)
        assert not [wrong for fuzzer in fuzzers for wrong in fuzzer.wrong]
        assert sum(sum(fuzzer.statuses.values()) for fuzzer in fuzzers) == 5000
        assert collector.request("GET", "/healthz").status == 200
        aside = [value for name, value in collector.metrics().items() if "quarantined" in name]
        assert collector.stop() == 0, collector.said
    stored = {row[0] for row in rows_of(path, "SELECT concat(trace_id, span_id) FROM spans")}
    assert "stay in the log" not in "".join(collector.said)
    missing = set[str]().union(*(fuzzer.expected for fuzzer in fuzzers)) - stored
    assert not missing, f"{len(missing)} acknowledged spans are not stored"
    assert not aside, "an acknowledged request was set aside"


def test_clocks_that_are_wrong_by_decades_and_two_hundred_days_in_one_request_are_stored(tmp_path) -> None:
    path = tmp_path / "store"
    request = request_of(0)
    spans = request.resource_spans[0].scope_spans.add().spans
    starts = [0, 1, 86_400 * NANOSECONDS, 4_102_444_800 * NANOSECONDS]
    starts += [(1_790_000_000 - day * 86_400) * NANOSECONDS for day in range(200)]
    for start in starts:
        add_span(spans, start_ns=start)
    spans[5].end_time_unix_nano = 1  # it ends before it starts
    with serving(path, settings="[retention]\nspans_days = 0") as collector:
        assert collector.post(request.SerializeToString()).status == 200
        assert collector.stop() == 0
    stored = rows_of(path, "SELECT span_id, duration_ns FROM spans")
    assert sorted(row[0] for row in stored) == sorted(span_ids(request))
    assert [row[1] for row in stored if row[0] == spans[5].span_id.hex()] == [0]


@contextmanager
def small_disk(directory: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A file system of 6 MB where this user may mount one; else a limit on the size of every file the collector writes."""
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(directory)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield directory, () if mounted else ("prlimit", "--fsize=6000000", "--")
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(directory)], check=True)


def test_a_full_disk_is_503_with_the_reason_and_acceptance_returns_with_the_space(tmp_path) -> None:
    path = tmp_path / "store"
    with small_disk(tmp_path / "disk") as (disk, prefix):
        # One insert takes hours here, so that the log alone has to hold everything.
        settings = f'[receive]\nlog_path = "{disk}"\nflush_ms = 3600000\nkeep_inserted_s = 0'
        with serving(path, settings=settings, prefix=prefix) as collector:
            accepted, refusal = [], None
            while refusal is None:
                request = request_of(100, content=4000)
                answer = collector.post(request.SerializeToString())
                if answer.status == 200:
                    accepted += span_ids(request)
                else:
                    refusal = answer
                assert len(accepted) < 10_000, "the disk never filled up"
            assert accepted
            assert (refusal.status, refusal.headers["Retry-After"]) == (503, "1")
            assert b"cannot write" in refusal.body
            assert collector.request("GET", "/healthz").status == 200
            assert collector.stop() == 0, collector.said
        with serving(path, settings=settings, prefix=prefix) as collector:
            deadline = time.monotonic() + 60
            while collector.metrics()["log_backlog_bytes_spans"] and time.monotonic() < deadline:
                time.sleep(0.1)
            request = request_of(100, content=4000)
            assert collector.post(request.SerializeToString()).status == 200
            accepted += span_ids(request)
            assert collector.stop() == 0
    stored = rows_of(path, "SELECT span_id, count() FROM spans GROUP BY span_id")
    assert sorted(stored) == sorted([span_id, 1] for span_id in accepted)


class Flood(threading.Thread):
    """Sends large requests without waiting for anything but the answer."""

    def __init__(self, collector: Collector, until: float) -> None:
        super().__init__(daemon=True)
        self.collector, self.until = collector, until
        self.accepted: list[str] = []
        self.answers: dict[int, int] = {}
        self.silent: list[Any] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection(self.collector.address, timeout=120)
        while time.monotonic() < self.until:
            request = request_of(250, content=4000)
            connection.request("POST", "/v1/traces", request.SerializeToString(), {"Content-Type": PROTOBUF})
            answer = connection.getresponse()
            body = answer.read()
            self.answers[answer.status] = self.answers.get(answer.status, 0) + 1
            if answer.status == 200:
                assert not ExportTraceServiceResponse.FromString(body).HasField("partial_success")
                self.accepted += span_ids(request)
            elif answer.status != 503 or "Retry-After" not in answer.headers:
                self.silent.append((answer.status, body))


@pytest.mark.slow
def test_more_load_than_it_can_store_ends_in_503_bounded_memory_and_no_loss(tmp_path) -> None:
    path = tmp_path / "store"
    settings = "[receive]\nlog_bytes = 8000000\nmax_inflight_bytes = 40000000\ndrain_s = 120"
    with serving(path, settings=settings) as collector:
        floods = [Flood(collector, time.monotonic() + 8) for _ in range(16)]
        for flood in floods:
            flood.start()
        peak = 0
        while any(flood.is_alive() for flood in floods):
            peak = max(peak, collector.resident_bytes())
            time.sleep(0.1)
        answers = [flood.answers for flood in floods]
        assert not [silent for flood in floods for silent in flood.silent]
        assert sum(answer.get(503, 0) for answer in answers), "it was never more than it could take"
        assert peak < 1_500_000_000
        assert collector.stop() == 0, collector.said
    accepted = [span_id for flood in floods for span_id in flood.accepted]
    assert accepted
    stored = rows_of(path, "SELECT count(), uniqExact(span_id) FROM spans")
    assert stored == [[len(accepted), len(accepted)]]


def test_a_second_service_on_the_same_store_is_told_who_has_it_and_exits_5(tmp_path) -> None:
    path = tmp_path / "store"
    with serving(path, "--sql-port", "0") as collector:
        with pytest.raises(AssertionError, match="exited with 5") as refused:
            Collector(path)
        said = str(refused.value)
        assert str(collector.process.pid) in said
        assert collector.owner["http"] in said
        assert collector.post(request_of(1).SerializeToString()).status == 200
