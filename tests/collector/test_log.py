"""The durable log against damage, a full disk and a store that is away: refused or kept whole, inserted once."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalspan.collector.insert.inserter import KeepAll
from evalspan.collector.insert.pipeline import Pipeline
from evalspan.collector.log import framing, segments
from evalspan.collector.log.durable import DurableLog, LogLimits, LogRefused
from evalspan.collector.log.quarantine import set_aside_records
from evalspan.errors import QueryError, StoreUnreachable
from evalspan.queries.host.supervision import Supervisor
from evalspan.queries.host.telemetry import Telemetry

from .serving import soon
from .traffic import request_of, span_ids

LIMITS = LogLimits(log_bytes=1 << 20, segment_bytes=1 << 16, flush_s=0.02, sync_s=0, keep_s=0)


class Away:
    """A store that can be switched off, in front of the real one or of a list."""

    def __init__(self, insert=None) -> None:
        self.error: Exception | None = None
        self.refuses: bytes | None = None
        self.taken: list[bytes] = []
        self.tokens: list[str] = []
        self._insert = insert
        self.asked = threading.Event()

    def __call__(self, segment: bytes, token: str) -> None:
        self.asked.set()
        if self.error is not None:
            raise self.error
        if self.refuses is not None and self.refuses in segment:
            raise QueryError("cannot parse the input", code=33)
        self.taken.append(segment)
        self.tokens.append(token)
        if self._insert is not None:
            self._insert(segment, token=token)

    def bodies(self) -> list[bytes]:
        return [record.body for segment in self.taken for record in framing.records(segment)]


def pipeline(tmp_path, store: Away, **limits) -> tuple[Pipeline, Telemetry]:
    telemetry = Telemetry()
    changed = LogLimits(**{**{name: getattr(LIMITS, name) for name in LIMITS.__struct_fields__}, **limits})
    return Pipeline("spans", tmp_path, changed, store, KeepAll(), telemetry), telemetry


def wait_until_empty(log: DurableLog) -> None:
    while log.backlog_bytes:
        time.sleep(0.05)


@pytest.mark.slow
@given(st.lists(st.tuples(st.binary(max_size=300), st.text(min_size=1, max_size=20)), max_size=8), st.data())
def test_records_come_back_as_they_went_in_and_any_damage_is_found(pairs, data) -> None:
    pairs = [(body, project) for body, project in pairs if len(project.encode(errors="replace")) <= 100]
    pairs = [(body, project.encode(errors="replace").decode()) for body, project in pairs]
    segment = b"".join(piece for body, project in pairs for piece in framing.frame(body, project, 1_790_000_000_123))
    assert framing.damage(segment) == []
    assert [(record.body, record.project) for record in framing.records(segment)] == pairs
    assert all(record.received_ms == 1_790_000_000_123 for record in framing.records(segment))
    if segment:
        at = data.draw(st.integers(0, len(segment) - 1))
        changed = bytearray(segment)
        changed[at] ^= data.draw(st.integers(1, 255))
        damaged = framing.damage(bytes(changed))
        assert damaged, "a flipped byte went unnoticed"
        kept = framing.without(bytes(changed), damaged)
        assert {record.body for record in framing.records(kept)} <= {body for body, _ in pairs}


async def test_a_torn_tail_is_cut_a_damaged_record_set_aside_and_the_rest_inserted(tmp_path) -> None:
    directory = tmp_path / "spans"
    directory.mkdir()
    whole = [b"".join(framing.frame(body, "p", 1)) for body in (b"first", b"second", b"third")]
    (directory / f"00000000000000000001-a{segments.OPEN}").write_bytes(whole[0] + whole[1][:-3])
    damaged = bytearray(whole[1])
    damaged[3] ^= 1
    (directory / f"00000000000000000002-b{segments.SEALED}").write_bytes(whole[0] + bytes(damaged) + whole[2])
    (directory / f"00000000000000000003-c{segments.OPEN}").write_bytes(bytes(4096))  # what a power loss leaves
    store = Away()
    running, telemetry = pipeline(tmp_path, store)
    running.start()
    assert await running.stop(10)
    assert store.bodies() == [b"first", b"first", b"third"]
    assert store.tokens == ["00000000000000000001-a", "00000000000000000002-b"]
    assert telemetry.total("log_damaged_bytes_total") == len(whole[1]) - 3 + len(damaged) + 4096
    assert len(segments.listed(directory, segments.DAMAGED)) == 3


@pytest.mark.slow
async def test_a_store_that_is_away_fills_the_log_then_refuses_and_all_arrives_afterwards(tmp_path, store) -> None:
    away = Away(store.insert_otlp)
    away.error = StoreUnreachable("connection refused")
    running, telemetry = pipeline(tmp_path, away, log_bytes=200_000)
    running.start()
    accepted: list[str] = []
    refusals: list[str] = []
    for _ in range(100):
        request = request_of(5)
        try:
            await running.log.append(request.SerializeToString(), "store-away")
            accepted += span_ids(request)
        except LogRefused as error:
            refusals.append(str(error))
    assert accepted
    assert "the log is full" in refusals[0]
    assert running.log.backlog_bytes <= 200_000
    away.error = None
    await asyncio.to_thread(wait_until_empty, running.log)
    await running.log.append(request_of(1).SerializeToString(), "store-away-2")  # it takes records again
    assert await running.stop(30)
    assert telemetry.total("insert_failures_total") > 0
    found = store.query(
        "SELECT span_id, count() FROM spans WHERE project = {p:String} GROUP BY span_id", {"p": "store-away"}
    )
    assert sorted(found.rows) == sorted((span_id, 1) for span_id in accepted)


async def test_one_bad_record_does_not_hold_up_the_others(tmp_path) -> None:
    store = Away()
    store.refuses = b"poison"
    running, telemetry = pipeline(tmp_path, store, flush_s=0.3)
    running.start()
    await asyncio.gather(*(running.log.append(body, "p") for body in (b"a", b"poison", b"c")))
    assert await running.stop(20)
    assert store.bodies() == [b"a", b"c"]
    assert telemetry.total("insert_quarantined_total") == 1
    (aside,) = set_aside_records(tmp_path)
    assert aside.record.body == b"poison"


async def test_inserted_segments_are_not_kept_for_as_long_as_a_clock_was_put_back(tmp_path, monkeypatch) -> None:
    running, _ = pipeline(tmp_path, Away(), keep_s=0.2)
    running.start()
    await running.log.append(b"before", "p")
    await asyncio.to_thread(wait_until_empty, running.log)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 86_400)
    for _ in range(50):
        if not list((tmp_path / "spans").glob(f"*{segments.INSERTED}")):
            break
        await asyncio.sleep(0.1)
    assert not list((tmp_path / "spans").glob(f"*{segments.INSERTED}"))
    assert await running.stop(20)


@pytest.mark.slow
@pytest.mark.parametrize("waits", [False, True], ids=["nothing waits", "a record waits"])
async def test_a_log_whose_folder_was_deleted_is_ready_again_although_nobody_sends(tmp_path, waits) -> None:
    store = Away()
    line, _ = pipeline(tmp_path, store, flush_s=60)
    line.start()
    if waits:
        await line.log.append(b"acknowledged", "p")
    shutil.rmtree(line.log.directory)
    line.log.directory.write_text("a file where the folder was")
    if waits:
        with pytest.raises(LogRefused):
            await line.log.append(b"refused", "p")
    await asyncio.sleep(1.1)
    assert line.log.state()
    line.log.directory.unlink()
    await soon(lambda: not line.log.state())
    await line.log.append(b"later", "p")
    assert await line.stop(30)
    assert sorted(store.bodies()) == [b"acknowledged", b"later"][not waits :]


async def test_what_a_stop_leaves_in_the_log_is_inserted_by_the_next_start(tmp_path) -> None:
    store = Away()
    store.error = StoreUnreachable("connection refused")
    running, _ = pipeline(tmp_path, store)
    running.start()
    await running.log.append(b"kept", "p")
    await asyncio.to_thread(store.asked.wait, 20)
    assert not await running.stop(0.1)
    store.error = None
    again, _ = pipeline(tmp_path, store)
    again.open()
    await asyncio.sleep(0.2)
    assert not store.bodies()  # nothing goes in before what waits was read: a client may repeat it
    assert [record.body for record in again.log.recovered()] == [b"kept"]
    reading = again.log.recovered()
    again.start()
    assert await again.stop(20)
    assert list(reading) == []  # gone between the listing and the reading
    assert store.bodies() == [b"kept"]


async def test_a_failed_sync_is_an_error_to_everybody_who_waits_and_leaves_no_record(tmp_path, monkeypatch) -> None:
    store = Away()
    running, telemetry = pipeline(tmp_path, store, flush_s=600)
    running.start()
    await running.log.append(b"before", "p")

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", broken)
        results = await asyncio.gather(
            *(running.log.append(b"lost%d" % number, "p") for number in range(3)), return_exceptions=True
        )
    assert [type(result) for result in results] == [LogRefused] * 3
    await running.log.append(b"after", "p")
    assert await running.stop(20)
    assert store.bodies() == [b"before", b"after"]
    assert telemetry.total("log_sync_failures_total") >= 1


async def test_a_disk_without_space_refuses_whole_records_and_recovers(tmp_path, monkeypatch) -> None:
    store = Away()
    running, _ = pipeline(tmp_path, store, flush_s=600)
    running.start()
    await running.log.append(b"before", "p")
    real = os.writev

    def half(descriptor: int, pieces) -> int:
        return real(descriptor, [b"".join(pieces)[:4]])

    def none(descriptor: int, data) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "writev", half)
        patched.setattr(os, "write", none)
        with pytest.raises(LogRefused, match="No space left"):
            await running.log.append(b"does not fit", "p")
    await running.log.append(b"after", "p")
    assert await running.stop(20)
    assert store.bodies() == [b"before", b"after"]


@pytest.mark.parametrize(
    ("pause_s", "size", "flushes"),
    [(0.1, 1000, 2), (0.1, 8 << 20, 4), (0.9, 8 << 20, 1), (3.0, 1000, 0.1), (3.0, 9 << 20, 0.1)],
    ids=["stream", "dense stream", "single requests", "after a pause", "much after a pause"],
)
def test_inserts_are_larger_in_a_stream_and_at_once_after_a_pause(tmp_path, pause_s, size, flushes) -> None:
    log = DurableLog(tmp_path, LIMITS.__class__(1 << 30, 1 << 25, 0.5, 0, 0), Telemetry(), "spans", Supervisor())
    active: Any = SimpleNamespace(opened_at=log._sealed_at + pause_s, size=size)
    assert log._patience_s(active) == pytest.approx(0.5 * flushes)
