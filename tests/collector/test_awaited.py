"""Scores and messages wait for their spans as long as those may still come, and not a look longer."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from evalspan.collector import contents
from evalspan.collector.awaited import Awaited
from evalspan.collector.insert import Interrupted, KeepAll
from evalspan.collector.log.durable import LogLimits
from evalspan.collector.pipeline import Pipeline
from evalspan.collector.telemetry import Telemetry
from evalspan.instrument.errors import StoreUnreachable

LIMITS = LogLimits(log_bytes=1 << 20, segment_bytes=1 << 16, flush_s=0.02, sync_s=0, keep_s=0)


def log(until: float, ended_for: float = -1.0, backlog: int = 1) -> Any:
    return SimpleNamespace(inserted_until_ms=until, ended_for_s=ended_for, backlog_bytes=backlog)


def looks(spans: Any, stopping: threading.Event | None = None) -> Any:
    return Awaited(spans, stopping or threading.Event()).looks(received_ms=100_000, wait_s=12, again_s=0.01)


def test_spans_that_wait_for_their_insert_are_waited_for_however_long_it_takes():
    spans = log(until=99_000)
    found = looks(spans)
    for _ in range(5):
        next(found)
    spans.inserted_until_ms = 112_001
    assert sum(1 for _ in found) == 1  # one more look, because the insert came after the last


def test_what_was_received_long_ago_is_looked_for_once():
    assert sum(1 for _ in looks(log(until=200_000))) == 1


def test_a_service_that_stops_looks_until_the_spans_it_has_are_in_the_store():
    assert sum(1 for _ in looks(log(until=100_500, ended_for=0.1, backlog=0))) == 1
    with pytest.raises(Interrupted):
        list(looks(log(until=100_500, ended_for=3.1)))
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(Interrupted):
        list(looks(log(until=100_500), stopping))


def test_the_log_knows_until_when_everything_is_inserted(tmp_path):
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


def test_messages_are_in_their_spans_while_others_are_still_missing(monkeypatch):
    """A span that was sampled out must not hold back the messages of those that were kept."""
    done: list[Any] = []
    there = [{("a", "1"): {}}, {}, {("b", "2"): {}}]
    said = [SimpleNamespace(project="p", trace_id=t, span_id=s) for t, s in (("a", "1"), ("b", "2"), ("c", "3"))]
    monkeypatch.setattr(contents.framing, "records", lambda _: [SimpleNamespace(body=b"", project="p", received_ms=0)])
    monkeypatch.setattr(contents.contents, "said", lambda *_: said)
    monkeypatch.setattr(contents, "span_dimensions", lambda *_: there.pop(0))
    monkeypatch.setattr(contents, "_content", lambda key, _: key)
    monkeypatch.setattr(contents, "add_contents", lambda _, project, found: done.append((project, found)))
    telemetry = Telemetry()
    spans: Any = SimpleNamespace(looks=lambda *_: iter(range(3)))
    store: Any = None
    contents.insert_contents(store, telemetry, b"", spans)
    assert done == [("p", [("a", "1")]), ("p", []), ("p", [("b", "2")])]
    assert telemetry.value("contents_without_span_total") == 1
