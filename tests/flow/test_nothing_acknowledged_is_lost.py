"""Kills the collector with SIGKILL while clients send, starts it again, and counts: what was answered 200 is stored once."""

from __future__ import annotations

import random
import threading
import time
from http.client import HTTPException
from typing import Any

import pytest

from ..collector.serving import Collector, rows_of, serving
from ..collector.traffic import request_of, span_ids


class Client(threading.Thread):
    """Sends requests of 20 spans until the collector is gone; repeats, like an exporter, what got no answer."""

    def __init__(self, collector: Collector, unanswered: bytes | None = None) -> None:
        super().__init__(daemon=True)
        self.collector, self.unanswered = collector, unanswered
        self.acknowledged: set[str] = set()
        self.sent: dict[bytes, set[str]] = {}

    def run(self) -> None:
        while True:
            if self.unanswered is None:
                request = request_of(20)
                self.unanswered = request.SerializeToString()
                self.sent[self.unanswered] = set(span_ids(request))
            try:
                answer = self.collector.post(self.unanswered)
            except (OSError, HTTPException):
                return
            if answer.status == 200:
                self.acknowledged |= self.sent.get(self.unanswered, set())
                self.unanswered = None


def rounds(path, count: int) -> tuple[set[str], list[list[Any]]]:
    """Runs `count` rounds of kill and restart; returns the acknowledged span ids and what is stored of each."""
    acknowledged: set[str] = set()
    sent: dict[bytes, set[str]] = {}
    open_requests: list[bytes | None] = [None, None, None]
    for _ in range(count):
        with serving(path, settings="[receive]\nflush_ms = 100") as collector:
            clients = [Client(collector, unanswered) for unanswered in open_requests]
            for client in clients:
                client.sent = sent
                client.start()
            time.sleep(random.uniform(0.02, 1.0))
            collector.kill()
            for client in clients:
                client.join(30)
                acknowledged |= client.acknowledged
            open_requests = [client.unanswered for client in clients]
    with serving(path) as collector:
        for unanswered in open_requests:
            if unanswered is not None:
                assert collector.post(unanswered).status == 200
                acknowledged |= sent[unanswered]
        assert collector.stop() == 0
    return acknowledged, rows_of(path, "SELECT span_id, count() FROM spans GROUP BY span_id")


def check(acknowledged: set[str], stored: list[list[Any]]) -> None:
    assert len(acknowledged) > 100, "the clients hardly sent anything: this run proved nothing"
    missing = acknowledged - {span_id for span_id, _ in stored}
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged spans are gone"
    doubled = [span_id for span_id, count in stored if count > 1]
    assert not doubled, f"{len(doubled)} spans are there twice"


@pytest.mark.slow
@pytest.mark.timeout(1200)  # 45 seconds on two idle cores; each of its starts waits its turn on busy ones
def test_twenty_kills_at_random_moments_lose_and_double_nothing(tmp_path, request) -> None:
    check(*rounds(tmp_path / "store", 100 if request.config.getoption("--soak") else 20))
