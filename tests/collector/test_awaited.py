"""Scores and messages wait for their spans as long as those may still come; nothing waits behind them meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from evalspan.collector.insert import span_join as awaited
from evalspan.collector.insert.inserter import Batch, KeepAll
from evalspan.collector.insert.pipeline import Pipeline
from evalspan.collector.insert.span_join import Key, SpanJoinStage
from evalspan.collector.log import framing
from evalspan.collector.log.durable import LogLimits
from evalspan.errors import StoreUnreachable
from evalspan.queries.host.telemetry import Telemetry

LIMITS = LogLimits(log_bytes=1 << 20, segment_bytes=1 << 16, flush_s=0.02, sync_s=0, keep_s=0)
RECEIVED = 100_000


class Bench:
    """A stage, the spans it waits for, and the inserter that does what it says."""

    def __init__(self, folder: Path, *, started_ms: int = 0, **how: Any) -> None:
        self.spans: Any = SimpleNamespace(inserted_until_ms=RECEIVED, ended=False, backlog_bytes=1)
        self.stored: set[Key] = set()
        self.looks: list[tuple[bytes, set[Key] | None, bool]] = []
        self.released: list[str] = []
        self.folder = folder
        spans: Any = self.spans
        self.stage = SpanJoinStage(self.write, folder, spans, wait_s=12, again_s=0.01, **how)
        self.stage._started_ms = started_ms

    def write(self, segment: bytes, only: set[Key] | None, *, last: bool) -> set[Key]:
        (record,) = framing.records(segment)
        self.looks.append((record.body, only, last))
        wanted = {("p", one, "s") for one in record.body.decode().split()}
        return (wanted if only is None else wanted & only) - self.stored

    def do(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            if batch.content:
                self.stage.insert(batch.content, batch.token)
            self.released += batch.releases

    def arrive(self, name: str, body: bytes) -> None:
        segment = b"".join(framing.frame(body, "p", RECEIVED))
        (self.folder / f"{name}.sealed").write_bytes(segment)
        self.do(self.stage.process(name, segment))

    def wait(self) -> None:
        time.sleep(0.02)
        self.do(self.stage.flush_due())


def test_what_has_its_span_is_not_held_up_by_what_has_none(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.stored.add(("p", "b", "s"))
    bench.arrive("1", b"a b")
    bench.arrive("2", b"b")
    assert bench.released == ["2"]
    assert [body for body, *_ in bench.looks] == [b"a b", b"b"]


def test_only_what_was_missing_is_looked_for_again_and_less_and_less_often(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.stored.add(("p", "b", "s"))
    bench.arrive("1", b"a b")
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        bench.do(bench.stage.flush_due())
    assert {only is None or only == {("p", "a", "s")} for _, only, _ in bench.looks} == {True}
    assert 4 <= len(bench.looks) <= 8  # after 10, 20, 40, ... ms
    bench.stored.add(("p", "a", "s"))
    while not bench.released:
        bench.wait()
    assert bench.released == ["1"]
    assert not any(last for *_, last in bench.looks)


def test_spans_that_wait_for_their_insert_are_waited_for_however_long_it_takes(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.arrive("1", b"a")
    bench.wait()
    assert bench.released == []
    bench.spans.inserted_until_ms = RECEIVED + 12_001
    bench.do(bench.stage.flush_due())  # without waiting for its turn
    assert bench.released == ["1"]
    assert bench.looks[-1][2], "the last look is told so, and what has no span goes in without"


def test_what_was_received_long_ago_is_looked_for_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.spans.inserted_until_ms = RECEIVED + 500_000
    bench.arrive("1", b"a")
    assert (bench.released, len(bench.looks)) == (["1"], 1)


def test_a_service_that_stops_looks_once_more_after_the_spans_it_has(tmp_path: Path, monkeypatch: Any) -> None:
    bench = Bench(tmp_path)
    bench.arrive("1", b"a")
    bench.spans.ended, bench.spans.backlog_bytes = True, 0
    bench.do(bench.stage.shutdown())
    assert bench.released == ["1"]
    monkeypatch.setattr(awaited, "_SHUTDOWN_WAIT_S", 0.1)
    other = Bench(tmp_path)
    other.arrive("2", b"a")
    other.spans.ended = True
    other.do(other.stage.shutdown())
    assert other.released == [], "its span is still in the log: so is this, for the next start"


def test_the_log_knows_until_when_everything_is_inserted(tmp_path: Path) -> None:
    away = [True]

    def insert(segment: bytes, token: str) -> None:
        if away[0]:
            raise StoreUnreachable("away")

    async def run() -> None:
        pipeline = Pipeline("spans", tmp_path, LIMITS, insert, KeepAll(), Telemetry())
        pipeline.start()
        before = time.time_ns() // 1_000_000
        assert pipeline.log.inserted_until_ms >= before
        await pipeline.log.append(b"", "p")
        received = time.time_ns() // 1_000_000
        await asyncio.sleep(0.3)
        assert before <= pipeline.log.inserted_until_ms <= received
        away[0] = False
        for _ in range(200):
            if pipeline.log.inserted_until_ms > received:
                break
            await asyncio.sleep(0.05)
        assert pipeline.log.inserted_until_ms > received
        assert await pipeline.stop(10)

    asyncio.run(run())


def test_a_segment_that_is_deleted_while_it_waits_holds_up_no_other(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.arrive("1", b"a")
    bench.arrive("2", b"b")
    (tmp_path / "1.sealed").unlink()
    bench.stored |= {("p", "a", "s"), ("p", "b", "s")}
    bench.wait()
    assert bench.released == ["1", "2"]


def test_the_time_that_the_service_was_down_is_no_time_in_which_a_span_could_have_come(tmp_path: Path) -> None:
    bench = Bench(tmp_path, started_ms=RECEIVED + 500_000)
    bench.spans.inserted_until_ms = RECEIVED + 500_000 + 70_000
    bench.arrive("1", b"a")
    assert bench.released == []
    bench.stored.add(("p", "a", "s"))
    bench.wait()
    assert bench.released == ["1"]
    bench.arrive("2", b"b")
    bench.spans.inserted_until_ms = RECEIVED + 500_000 + 72_001
    bench.wait()
    assert bench.released == ["1", "2"]


def test_messages_that_still_wait_at_a_stop_stay_in_the_log_for_the_next_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path, keep_at_stop=True)
    bench.arrive("1", b"a")
    bench.spans.ended, bench.spans.backlog_bytes = True, 0
    bench.do(bench.stage.shutdown())
    assert bench.released == []
    assert not bench.looks[-1][2]
    again = Bench(tmp_path, keep_at_stop=True)
    again.stored.add(("p", "a", "s"))  # came after the start
    again.do(again.stage.process("1", (tmp_path / "1.sealed").read_bytes()))
    assert again.released == ["1"]


def test_a_clock_that_was_ahead_for_a_while_keeps_nothing_waiting_for_as_long(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    ahead = time.time_ns() // 1_000_000 + 86_400_000
    segment = b"".join(framing.frame(b"a", "p", ahead))
    (tmp_path / "1.sealed").write_bytes(segment)
    bench.do(bench.stage.process("1", segment))
    bench.spans.inserted_until_ms = time.time_ns() // 1_000_000 + 75_000
    bench.wait()
    assert bench.released == ["1"]


def test_just_after_somebody_moved_the_clock_nothing_counts_as_overdue(tmp_path: Path, monkeypatch: Any) -> None:
    bench = Bench(tmp_path)
    ahead_s = bench.stage._clock_ahead_s + 3600
    monkeypatch.setattr(awaited, "_clock_ahead_s", lambda: ahead_s)
    bench.spans.inserted_until_ms = RECEIVED + 3_600_000
    bench.arrive("1", b"a")
    assert bench.released == []
    bench.stage._distrusted_until = time.monotonic()  # twelve seconds later
    bench.wait()
    assert bench.released == ["1"]
