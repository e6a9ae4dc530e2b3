"""Kills the service with SIGKILL while clients send, starts it again, and counts: what was answered 200 is stored once."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from ..collector.serving import Collector, answers_of, serving
from .senders import Acknowledged, Sender, Sent

KEEP = "[receive]\nflush_ms = 100\n"
TAIL = KEEP + '[sampling]\nmode = "tail"\nrate = 0.5\nroot_delay_s = 0.5\ntimeout_s = 5\n'


def killed(path: Path, settings: str, count: int) -> Acknowledged:
    """Runs `count` rounds of kill and restart under load, and a last one that ends well; what was acknowledged in all."""
    acknowledged = Acknowledged()
    waiting: list[list[Sent]] = [[], [], []]
    for _ in range(count):
        with serving(path, settings=settings) as collector:
            senders = [Sender(collector, unanswered) for unanswered in waiting]
            for sender in senders:
                sender.acknowledged = acknowledged  # one thread's `update` of a set is whole
                sender.start()
            time.sleep(random.uniform(0.02, 1.0))
            collector.kill()
            for sender in senders:
                sender.join(60)
                assert not sender.is_alive()
                assert not sender.refused, "a service under this load refuses nothing"
            waiting = [sender.waiting for sender in senders]
    with serving(path, settings=settings) as collector:
        for unanswered in waiting:
            last = Sender(collector, unanswered)
            last.acknowledged = acknowledged
            last.send_waiting()
        drained(collector)
        assert collector.stop() == 0, collector.said
    return acknowledged


def drained(collector: Collector) -> None:
    """Waits until the spans are in the store, and all scores and messages that have theirs."""
    until = time.monotonic() + 240
    while collector.metrics()["log_backlog_bytes_spans"]:
        assert time.monotonic() < until, "the log never emptied"
        time.sleep(0.2)
    pause_until = time.monotonic() + 3  # for one more try of what waits for a span
    while collector.metrics()["log_backlog_bytes"] and time.monotonic() < pause_until:
        time.sleep(0.1)
    aside = [value for name, value in collector.metrics().items() if "quarantined" in name or "lost" in name]
    assert not aside, "an acknowledged record was set aside or lost"


def check(path: Path, acknowledged: Acknowledged, *, sampled: bool, traces_whole: bool = False) -> dict[str, int]:
    """Holds what is stored against what was acknowledged; returns how much of each kind that was."""
    counts = {kind: len(getattr(acknowledged, kind)) for kind in ("plain", "bare", "scores", "messages")}
    assert counts["plain"] > 100, "the clients hardly sent anything: this run proved nothing"
    assert min(counts.values()) > 10
    # Without FINAL: a span that came twice shows. Those that got messages are written again, and their newest row counts.
    spans, texts, rows, ((traces, whole, failed, weight),) = answers_of(
        path,
        "SELECT span_id, count() FROM spans GROUP BY span_id",
        "SELECT span_id, input FROM spans FINAL WHERE input LIKE '%message-%' OR input = ''",
        "SELECT metadata['ticket'], count() FROM evaluations FINAL GROUP BY 1",
        "SELECT count(), countIf(n = 2), countIf(failed), sum(w) FROM (SELECT trace_id, uniqExact(span_id) AS n,"
        " max(status = 'ERROR') AS failed, any(sample_weight) AS w FROM spans GROUP BY trace_id)",
    )
    times, told = dict(spans), dict(texts)
    doubled = [span_id for span_id in acknowledged.plain if times.get(span_id, 0) > 1]
    assert not doubled, f"{len(doubled)} spans are there twice"
    missing = (acknowledged.plain | acknowledged.bare) - times.keys()
    if not sampled:
        assert not missing, f"{len(missing)} of {counts} acknowledged spans are gone"
    unread = {span_id for span_id in acknowledged.messages & times.keys() if f"message-{span_id}" not in told[span_id]}
    assert not unread, f"{len(unread)} messages are not with their spans"
    assert acknowledged.scores <= {ticket for ticket, _ in rows}, "scores are gone"
    assert {count for _, count in rows} == {1}
    if traces_whole:  # or not there; those with an error are there, and the weights stand for all
        assert traces == whole
        assert weight == pytest.approx(10 * failed, rel=0.3)
    return counts


def report(name: str, rounds: int, counts: dict[str, int]) -> None:
    """Where SOAK_REPORT names a file, a line of what was counted: the source of docs/reliability.md."""
    line: dict[str, Any] = {"test": name, "rounds": rounds, **counts}
    print(line)
    if target := os.environ.get("SOAK_REPORT"):
        with Path(target).open("a") as file:
            file.write(json.dumps(line) + "\n")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("mode", "few"), [("keep", 6), ("tail", 4)])
def test_kills_at_random_moments_lose_and_double_nothing(
    mode: str, few: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    rounds = request.config.getoption("--soak-rounds") if request.config.getoption("--soak") else few
    path = tmp_path / "store"
    acknowledged = killed(path, TAIL if mode == "tail" else KEEP, rounds)
    counts = check(path, acknowledged, sampled=mode == "tail", traces_whole=mode == "tail")
    report(f"kill -9, {mode}", rounds, counts)
