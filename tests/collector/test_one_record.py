"""One odd record, file or exception costs itself: everything around it goes on, and what happened can be seen."""

from __future__ import annotations

import asyncio
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from evalspan.collector.insert.inserter import Batch, KeepAll, Stage
from evalspan.collector.insert.log_events import events
from evalspan.collector.insert.message_events import _content
from evalspan.collector.insert.pipeline import Pipeline
from evalspan.collector.log import framing, segments
from evalspan.collector.log.durable import LogLimits, LogRefused
from evalspan.collector.log.quarantine import Quarantine, set_aside_records
from evalspan.collector.receivers.message_events import EVENTS, message_event
from evalspan.errors import QueryError
from evalspan.queries.host.supervision import State, Supervisor
from evalspan.queries.host.telemetry import Telemetry

from .serving import soon

LIMITS = LogLimits(log_bytes=1 << 20, segment_bytes=1 << 18, flush_s=0.05, sync_s=0.001, keep_s=0)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evalspan.collector.insert.inserter._MIN_PAUSE_S", 0.01)
    monkeypatch.setattr("evalspan.collector.insert.inserter._MAX_PAUSE_S", 0.1)
    monkeypatch.setattr("evalspan.queries.host.supervision.MIN_PAUSE_S", 0.01)


class Bench:
    """A pipeline whose store takes everything but what `refuse` raises on."""

    def __init__(
        self, folder: Path, refuse: Callable[[bytes], None] = lambda _: None, stage: Stage | None = None, **how: Any
    ) -> None:
        self.telemetry = Telemetry()
        self.supervisor = Supervisor(self.telemetry.add)
        self.bodies: list[bytes] = []
        self.refuse = refuse
        self.folder = folder
        self.pipeline = Pipeline(
            "spans", folder, LIMITS, self.insert, stage or KeepAll(), self.telemetry, supervisor=self.supervisor, **how
        )

    def insert(self, segment: bytes, token: str) -> None:
        self.refuse(segment)
        self.bodies += [record.body for record in framing.records(segment)]

    async def run(self, *bodies: bytes) -> None:
        self.pipeline.start()
        await asyncio.gather(*(self.pipeline.log.append(body, "p") for body in bodies))
        assert await self.pipeline.stop(30)


def raising(error: Exception, mark: bytes = b"poison") -> Callable[[bytes], None]:
    def refuse(segment: bytes) -> None:
        if mark in segment:
            raise error

    return refuse


@pytest.mark.parametrize(
    "error",
    [
        AttributeError("'str' object has no attribute 'get'"),
        KeyError("role"),
        TypeError("unhashable type: 'list'"),
        RecursionError("maximum recursion depth exceeded"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        QueryError("cannot parse the input", code=33),
        QueryError("a code that nobody listed", code=4711),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_record_on_which_an_insert_fails_is_set_aside_and_the_others_go_in(
    tmp_path: Path, error: Exception
) -> None:
    bench = Bench(tmp_path, raising(error), store_answers=lambda: True)
    await bench.run(b"a", b"poison", b"c", b"d")
    assert sorted(bench.bodies) == [b"a", b"c", b"d"]
    (aside,) = set_aside_records(tmp_path)
    assert (aside.record.body, aside.project, aside.signal) == (b"poison", "p", "spans")
    assert type(error).__name__ in aside.reason
    assert bench.telemetry.total("insert_quarantined_total", project="p") == 1


@pytest.mark.parametrize(
    "error", [OSError(111, "refused"), MemoryError(), QueryError("full", code=243), RuntimeError("?")]
)
async def test_nothing_is_set_aside_while_the_store_is_away(tmp_path: Path, error: Exception) -> None:
    bench = Bench(tmp_path, raising(error, b""), store_answers=lambda: False)
    bench.pipeline.start()
    await bench.pipeline.log.append(b"a", "p")
    await soon(lambda: bench.pipeline.inserter.state()[0] == State.WARNING)
    bench.refuse = lambda _: None
    assert await bench.pipeline.stop(30)
    assert bench.bodies == [b"a"]
    assert not list(set_aside_records(tmp_path))


class Failing(KeepAll):
    """A sampler that raises so many times."""

    def __init__(self, times: int, error: Exception) -> None:
        self.times, self.error = times, error

    def process(self, name: str, segment: bytes) -> Iterable[Batch]:
        if self.times > 0:
            self.times -= 1
            raise self.error
        return super().process(name, segment)


@pytest.mark.parametrize("times", [1, 2, 50])
async def test_a_sampler_that_raises_ends_neither_the_thread_nor_the_segment(tmp_path: Path, times: int) -> None:
    bench = Bench(tmp_path, stage=Failing(times, KeyError("odd")))
    await bench.run(b"a", b"b")
    assert sorted(bench.bodies) == [b"a", b"b"]
    assert bench.telemetry.total("part_restarts_total", part="inserter spans") == min(times, 2)
    assert bench.pipeline.inserter.stage_failures == (times > 2)


async def test_a_sampler_whose_disk_is_full_is_waited_for_and_decides_afterwards(tmp_path: Path) -> None:
    stage = Failing(1_000_000, OSError(28, "No space left on device"))
    bench = Bench(tmp_path, stage=stage)
    bench.pipeline.start()
    await bench.pipeline.log.append(b"a", "p")
    await soon(lambda: bench.pipeline.inserter.state() == (State.WARNING, "[Errno 28] No space left on device"))
    stage.times = 0
    assert await bench.pipeline.stop(30)
    assert bench.bodies == [b"a"]
    assert bench.pipeline.inserter.stage_failures == 0
    assert bench.pipeline.inserter.state()[1] != "[Errno 28] No space left on device"


def test_a_flipped_byte_costs_the_record_that_it_is_in(tmp_path: Path) -> None:
    chance = random.Random(7)
    bodies = [bytes(chance.randrange(256) for _ in range(chance.randrange(1, 400))) for _ in range(20)]
    whole = b"".join(piece for n, body in enumerate(bodies) for piece in framing.frame(body, f"p{n}", n + 1))
    for _ in range(300):
        place = chance.randrange(len(whole))
        flipped = whole[:place] + bytes([whole[place] ^ (1 << chance.randrange(8))]) + whole[place + 1 :]
        found = [record.body for record in framing.sound_records(flipped)]
        lost = [body for body in bodies if body not in found]
        assert len(lost) <= 1, place
        assert [body for body in bodies if body in found] == found  # in order, nothing made up
    path = tmp_path / f"x{segments.SEALED}"
    path.write_bytes(b"\xff" * 9 + whole)
    assert segments.repair(path) == 9
    assert path.read_bytes() == whole


async def test_a_log_deleted_underneath_keeps_what_it_acknowledged_and_is_not_ok(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    slow = LIMITS.__class__(**{**{n: getattr(LIMITS, n) for n in LIMITS.__struct_fields__}, "flush_s": 1.0})
    bench.pipeline.log.limits = slow
    bench.pipeline.start()
    await bench.pipeline.log.append(b"before", "p")  # acknowledged, in an open segment
    shutil.rmtree(tmp_path / "spans")
    assert "is gone" in bench.pipeline.log.state()
    with pytest.raises(LogRefused):
        await bench.pipeline.log.append(b"refused", "p")
    await bench.pipeline.log.append(b"after", "p")
    assert bench.pipeline.log.state() == ""
    assert await bench.pipeline.stop(30)
    assert sorted(bench.bodies) == [b"after", b"before"]


async def test_a_complete_segment_that_somebody_deletes_is_counted_as_lost_and_the_rest_goes_on(tmp_path: Path) -> None:
    gate = threading.Event()
    bench = Bench(tmp_path, lambda _: (gate.wait(10), None)[1])
    bench.pipeline.start()
    await bench.pipeline.log.append(b"first", "p")
    await asyncio.sleep(0.5)  # its insert has begun
    await bench.pipeline.log.append(b"second", "p")
    await asyncio.sleep(0.5)
    newest = segments.listed(tmp_path / "spans", segments.SEALED) or segments.listed(tmp_path / "spans", segments.OPEN)
    newest[-1].unlink()
    gate.set()
    await bench.pipeline.log.append(b"third", "p")
    assert await bench.pipeline.stop(30)
    assert {b"first", b"third"} <= set(bench.bodies)


async def test_a_part_that_raises_is_started_again_later_each_time_and_seen() -> None:
    telemetry = Telemetry()
    supervisor = Supervisor(telemetry.add)
    begun: list[float] = []

    async def part() -> None:
        begun.append(time.monotonic())
        if len(begun) < 4:
            raise ZeroDivisionError("odd")

    await supervisor.keep_running("retention", part)
    gaps = [later - earlier for earlier, later in pairwise(begun)]
    assert gaps == sorted(gaps)
    assert supervisor.states()["retention"].restarts == 3
    assert telemetry.total("part_restarts_total", part="retention") == 3
    supervisor.check("broken", lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    assert supervisor.states()["broken"].state == State.FAILED


def _odd_value(chance: random.Random, depth: int = 0) -> AnyValue:
    kind = chance.randrange(7 if depth < 3 else 5)
    if kind == 0:
        return AnyValue(
            string_value=chance.choice(["", "text", '["a"]', '{"role": 5}', '[{"parts": "x"}]', "null", "[[[]]]"])
        )
    if kind == 1:
        return AnyValue(int_value=chance.randrange(-5, 5))
    if kind == 2:
        return AnyValue(bool_value=True)
    if kind == 3:
        return AnyValue(bytes_value=b"\xff\x00")
    if kind == 4:
        return AnyValue()
    if kind == 5:
        return AnyValue(
            array_value=ArrayValue(values=[_odd_value(chance, depth + 1) for _ in range(chance.randrange(3))])
        )
    names = ["role", "parts", "content", "message", "tool_calls", "function", "id", "type", "finish_reason", "text"]
    pairs = [
        KeyValue(key=chance.choice(names), value=_odd_value(chance, depth + 1)) for _ in range(chance.randrange(5))
    ]
    return AnyValue(kvlist_value=KeyValueList(values=pairs))


def test_no_message_event_whatever_its_shape_stops_those_behind_it(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    chance = random.Random(21)
    sent = 20_000 if request.config.getoption("--soak") else 1_500
    message = ExportLogsServiceRequest()
    records = message.resource_logs.add().scope_logs.add().log_records
    for number in range(sent):
        record = records.add(
            event_name=chance.choice(sorted(EVENTS)), trace_id=b"t" * 16, span_id=number.to_bytes(8, "big")
        )
        record.body.CopyFrom(_odd_value(chance))
        for name in ("gen_ai.system_instructions", "gen_ai.input.messages", "gen_ai.output.messages"):
            if chance.random() < 0.4:
                record.attributes.add(key=name).value.CopyFrom(_odd_value(chance))
    good = records.add(event_name="gen_ai.user.message", trace_id=b"t" * 16, span_id=b"s" * 8)
    good.body.string_value = "hello"
    segment = b"".join(framing.frame(message.SerializeToString(), "p", 1))
    telemetry = Telemetry()
    quarantine = Quarantine(tmp_path, "messages", telemetry)
    found = list(events(segment, lambda record, _, project: message_event(record, project), quarantine))
    assert found[-1].span_id == (b"s" * 8).hex()
    for event in found:
        _content((event.trace_id, event.span_id), [event])  # what is read can be written
    asides = {one.record.body for one in set_aside_records(tmp_path)}
    assert len(found) + len(asides) == sent + 1
    assert telemetry.total("insert_quarantined_total") == len(asides)


def test_instructions_that_are_a_list_of_texts_are_system_messages() -> None:
    record = (
        ExportLogsServiceRequest()
        .resource_logs.add()
        .scope_logs.add()
        .log_records.add(event_name="gen_ai.client.inference.operation.details", trace_id=b"t" * 16, span_id=b"s" * 8)
    )
    texts = ArrayValue(values=[AnyValue(string_value="You are helpful.")])
    record.attributes.add(key="gen_ai.system_instructions").value.CopyFrom(AnyValue(array_value=texts))
    event = message_event(record, "p")
    assert event.inputs == [{"role": "system", "parts": [{"type": "text", "content": "You are helpful."}]}]
    assert _content((event.trace_id, event.span_id), [event]).system == "You are helpful."
