"""Tail sampling: whole traces, late spans, restarts; the segments are real, only the store is a list."""

from __future__ import annotations

import math
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from evalspan.collector.log import framing
from evalspan.collector.sampling import Sampler, SamplingConfig, SamplingRule, journal
from evalspan.collector.sampling.journal import Journal
from evalspan.collector.sampling.tail import TailStage
from evalspan.queries.host.telemetry import Telemetry

from .sampling_traffic import Call, add_span, attribute, spans_of, traffic

TAIL = SamplingConfig(mode="tail", rate=0.1, root_delay_s=2, timeout_s=30)
PARENT = b"\x01" * 8


class Bench:
    """A stage over a log directory, a clock that the test moves, and a store that knows deduplication tokens."""

    def __init__(self, folder: Path, config: SamplingConfig) -> None:
        self.folder, self.config = folder, config
        self.log = folder / "spans"
        self.log.mkdir(exist_ok=True)
        self.now = 1000.0
        self.inserted: dict[str, bytes] = {}
        self.number = 0
        self.telemetry = Telemetry()
        self.start()

    def start(self) -> None:
        journal = Journal(self.folder / "tail", self.log)
        self.stage = TailStage(
            Sampler(self.config, clock=lambda: self.now), self.telemetry, journal, clock=lambda: self.now
        )

    def restart(self) -> None:
        """As after kill -9: what was in memory is gone, the log's files are read again."""
        self.start()
        for path in sorted(self.log.glob("*.sealed")):
            self.put(self.stage.process(path.stem, path.read_bytes()))

    def send(self, *spans: tuple[Call, dict[str, object]]) -> str:
        request = ExportTraceServiceRequest()
        for call, options in spans:
            add_span(request, call, **options)  # type: ignore[arg-type]
        self.number += 1
        name = f"{self.number:05d}"
        segment = b"".join(framing.frame(request.SerializeToString(), "p", 7))
        (self.log / f"{name}.sealed").write_bytes(segment)
        self.put(self.stage.process(name, segment))
        return name

    def wait(self, seconds: float) -> None:
        for _ in range(math.ceil(seconds / 0.5)):
            self.now += 0.5
            self.put(self.stage.flush_due())

    def put(self, batches) -> None:
        for token, content, releases in batches:
            if content:
                self.inserted.setdefault(token, content)
            for name in releases:
                (self.log / f"{name}.sealed").unlink()

    def stored(self) -> list[Span]:
        requests = [
            ExportTraceServiceRequest.FromString(record.body)
            for content in self.inserted.values()
            for record in framing.records(content)
        ]
        return [span for request in requests for span in spans_of(request)]

    def segments(self) -> list[str]:
        return sorted(path.stem for path in self.log.glob("*.sealed"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, TAIL)


def call(low: int = 0, **changes: object) -> Call:
    values: dict[str, object] = {
        "error": False,
        "slow": False,
        "pattern": False,
        "tier": "free",
        "seconds": 0.5,
        "tokens": 10,
        "trace_id": random.randbytes(9) + low.to_bytes(7, "big"),
    }
    return Call(**{**values, **changes})  # type: ignore[arg-type]


CHILD: dict[str, object] = {"parent": PARENT}
ROOT: dict[str, object] = {}


def test_b07_an_error_anywhere_in_a_trace_keeps_all_its_spans_also_those_that_came_before(bench):
    doomed = call()
    failed = call(error=True, trace_id=doomed.trace_id)
    bench.send((doomed, CHILD))
    bench.wait(1)
    bench.send((failed, CHILD), (doomed, ROOT))
    assert bench.stored() == []
    bench.wait(3)
    assert [attribute(span, "evalspan.sample_rule") for span in bench.stored()] == ["errors"] * 3
    assert bench.segments() == []


def test_a_trace_without_a_root_is_decided_when_it_waited_too_long(bench):
    bench.send((call(low=(1 << 56) - 1), CHILD))
    bench.wait(29)
    assert bench.stored() == []
    bench.wait(3)
    (span,) = bench.stored()
    assert attribute(span, "evalspan.sample_weight") == pytest.approx(10)


def test_a_segment_is_released_only_when_every_trace_in_it_is_decided_and_inserted(bench):
    name = bench.send((call(low=1), ROOT), (call(low=2), CHILD))
    bench.wait(5)
    assert bench.segments() == [name]
    bench.wait(30)
    assert bench.segments() == []
    assert bench.telemetry.total("spans_sampled_out_total", rule="base") == 2


def test_late_spans_follow_the_decision_and_a_late_error_has_weight_one(bench):
    kept, dropped = call(low=(1 << 56) - 5), call(low=5)
    bench.send((kept, ROOT), (dropped, ROOT))
    bench.wait(4)
    late_error = call(error=True, trace_id=dropped.trace_id)
    bench.send((kept, CHILD), (dropped, CHILD), (late_error, CHILD))
    bench.wait(2)
    found = sorted(
        (span.trace_id == kept.trace_id, attribute(span, "evalspan.sample_weight")) for span in bench.stored()
    )
    assert found == [(False, 1.0), (True, pytest.approx(10)), (True, pytest.approx(10))]
    assert bench.segments() == []


def test_a_restart_loses_no_undecided_trace_and_doubles_no_decided_one(bench):
    whole, torn = call(error=True), call(error=True)
    bench.send((whole, ROOT), (torn, CHILD))
    bench.wait(4)  # `whole` is decided and inserted, `torn` waits, so the segment stays
    assert len(bench.stored()) == 1
    assert len(bench.segments()) == 1
    bench.restart()
    bench.send((torn, ROOT))
    bench.wait(4)
    assert Counter(span.trace_id for span in bench.stored()) == {whole.trace_id: 1, torn.trace_id: 2}
    assert bench.segments() == []


def test_a_batch_that_was_on_disk_but_not_inserted_is_inserted_after_the_restart_once(bench):
    one = call(error=True)
    bench.send((one, ROOT), (call(), CHILD))
    bench.now += 5
    assert list(bench.stage.flush_due()) == []
    bench.now += 1
    for _ in bench.stage.flush_due():  # committed and handed out, but the process dies before the insert
        break
    bench.restart()
    bench.restart()
    assert [span.trace_id for span in bench.stored()] == [one.trace_id]


def test_a_batch_that_was_torn_while_it_was_written_is_decided_again(bench, tmp_path):
    bench.send((call(error=True), ROOT))
    (tmp_path / "tail" / "tail-torn.otlp").write_bytes(b"half")
    bench.restart()
    bench.wait(4)
    assert len(bench.stored()) == 1
    assert not (tmp_path / "tail" / "tail-torn.otlp").exists()


def test_the_journal_forgets_batches_whose_segments_are_gone(bench, tmp_path):
    bench.send((call(error=True), ROOT))
    bench.wait(30)
    assert list((tmp_path / "tail").iterdir()) == []


def test_memory_is_bounded_the_oldest_traces_are_decided_early(tmp_path):
    bench = Bench(tmp_path, SamplingConfig(mode="tail", rate=0.5, max_traces=10, timeout_s=1000))
    for number in range(50):
        bench.send((call(low=number), CHILD))
    assert len(bench.stage._traces) <= 10
    assert bench.telemetry.total("tail_decided_early_total") == 40


@pytest.mark.slow
def test_b02_tail_estimates_are_unbiased_and_rare_segments_are_kept(tmp_path):
    rules = (
        SamplingRule(name="errors", errors=True),
        SamplingRule(name="slow", slower_than_quantile=0.95, rate=0.5),
        SamplingRule(name="tiers", segment=("evalspan.tag.tier",), floor=30, window_s=600),
    )
    bench = Bench(tmp_path, SamplingConfig(mode="tail", rate=0.05, rules=rules, root_delay_s=1))
    calls = traffic(random.Random(11), 12_000)
    for start in range(0, len(calls), 300):
        chunk = calls[start : start + 300]
        bench.send(*((one, CHILD) for one in chunk))
        bench.send(*((one, ROOT) for one in chunk))
        bench.wait(1)
    bench.wait(5)
    by_id = {one.trace_id: one for one in calls}
    roots = [span for span in bench.stored() if not span.parent_span_id]
    assert len(roots) * 2 == len(bench.stored())
    weights = {span.trace_id: attribute(span, "evalspan.sample_weight") for span in roots}
    total = sum(weights.values())
    for value in (lambda c: float(c.error), lambda c: c.seconds, lambda c: float(c.tokens)):
        truth = sum(map(value, calls)) / len(calls)
        estimate = sum(w * value(by_id[key]) for key, w in weights.items()) / total
        variance = sum((1 - 1 / w) * (w * (value(by_id[key]) - estimate)) ** 2 for key, w in weights.items())
        assert abs(estimate - truth) <= 4 * math.sqrt(variance) / total + 1e-12
    enterprise = [key for key in weights if by_id[key].tier == "enterprise"]
    assert len(enterprise) >= 30


def test_a_commit_that_finds_no_room_is_tried_again_and_doubles_nothing(bench, tmp_path, monkeypatch):
    one, failing = call(error=True), True
    written = journal._write

    def full(path: Path, content: bytes) -> None:
        written(path, content[:1])
        if failing and path.suffix == ".tmp":
            raise OSError(28, "No space left on device")
        written(path, content)

    monkeypatch.setattr(journal, "_write", full)
    bench.send((one, ROOT), (call(error=True), ROOT))
    bench.now += 5
    list(bench.stage.flush_due())
    bench.now += 1
    segment = bench.log / f"{bench.segments()[0]}.sealed"
    for _ in range(3):
        with pytest.raises(OSError, match="No space"):
            bench.put(
                bench.stage.process(segment.stem, segment.read_bytes())
            )  # as the inserter does, with the same one
    assert list((tmp_path / "tail").iterdir()) == []
    failing = False
    bench.wait(4)
    assert len(bench.stored()) == 2
    assert bench.segments() == []


@pytest.mark.parametrize("harm", ["entry", "content", "folder"])
def test_a_damaged_journal_costs_its_decisions_and_not_the_start(bench, tmp_path, harm):
    name = bench.send((call(error=True), ROOT), (call(), CHILD))
    bench.wait(4)
    assert len(bench.stored()) == 1
    bench.inserted.clear()  # as if the store had lost it, too
    entry, content = next((tmp_path / "tail").glob("*.json")), next((tmp_path / "tail").glob("*.otlp"))
    if harm == "entry":
        entry.write_bytes(b"{")
    elif harm == "content":
        content.unlink()
    else:
        shutil.rmtree(tmp_path / "tail")
    bench.wait(12)  # it forgets meanwhile
    bench.restart()
    bench.wait(40)
    assert len(bench.stored()) == 1
    assert name not in bench.segments()
