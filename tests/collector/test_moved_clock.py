"""Somebody moves the clock: nothing is deleted too early, judged twice or never, or kept quiet for as long as it was wrong."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from evalspan.collector.alerts.findings import ending_version
from evalspan.collector.alerts.states import RuleState
from evalspan.collector.believed_clock import BelievedClock
from evalspan.collector.retention import Keeper
from evalspan.evaluators.online import worker
from evalspan.queries.span_scoring_store import SpanScoringStore
from evalspan.queries.store.client import Store
from evalspan.queries.store.config import RetentionConfig

from .test_online import (
    evaluators,  # noqa: F401 - a fixture
    fill,
    fresh,
    rule,
)
from .test_online import rows as evaluations

TODAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, DAY, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=365)


class Machine:
    """A clock that can be set, beside one that cannot."""

    def __init__(self) -> None:
        self.wall, self.steady_s = TODAY, 1000.0

    def passes(self, time_: timedelta) -> None:
        self.wall += time_
        self.steady_s += time_.total_seconds()

    def clock(self, last: datetime | None = None, watched_since: datetime | None = None) -> BelievedClock:
        return BelievedClock(last, watched_since, wall=lambda: self.wall, steady_s=lambda: self.steady_s)


@pytest.mark.parametrize("jump", [2 * DAY, 30 * DAY, YEAR, 40 * YEAR])
def test_a_jump_ahead_is_not_believed_before_it_has_lasted_a_day(jump: timedelta) -> None:
    machine = Machine()
    clock = machine.clock()
    clock.look()
    machine.wall += jump
    for _ in range(23):
        machine.passes(HOUR)
        assert clock.look() < TODAY + DAY
        assert "nothing is deleted by the new time before" in clock.problem
    for _ in range(3):
        machine.passes(HOUR)
        clock.look()
    assert clock.moment == machine.wall
    assert not clock.problem


def test_a_jump_that_is_taken_back_leaves_no_trace() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall += YEAR
    clock.look()
    machine.passes(5 * HOUR)
    machine.wall -= YEAR
    assert clock.look() == machine.wall == TODAY + 5 * HOUR
    assert not clock.problem


def test_one_jump_after_the_other_is_never_believed() -> None:
    machine = Machine()
    clock = machine.clock()
    clock.look()
    for _ in range(40):
        machine.wall += 3 * DAY
        machine.passes(HOUR)
        clock.look()
    assert clock.moment <= TODAY + 40 * HOUR


@pytest.mark.parametrize("step", [-YEAR, -DAY, -HOUR, timedelta(0), HOUR, 23 * HOUR])
def test_a_step_back_and_a_small_one_ahead_are_gone_by_at_once(step: timedelta) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall += step
    assert clock.look() == machine.wall


def test_a_service_that_starts_with_a_wrong_clock_waits_also_over_restarts() -> None:
    machine = Machine()
    machine.wall += YEAR
    clock = machine.clock(TODAY)
    assert clock.look() < TODAY + HOUR
    machine.passes(20 * HOUR)
    machine.steady_s = 5  # another start of the machine
    clock = machine.clock(clock.moment, clock.watched_since)
    assert clock.look() < TODAY + DAY
    machine.passes(5 * HOUR)
    clock.look()
    assert clock.moment == machine.wall


@pytest.mark.slow
def test_a_clock_a_year_ahead_deletes_nothing_and_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the store: what the next start goes by is kept in it."""
    now = datetime.now(UTC)
    row = {"project": "moved-clock", "trace_id": "m1", "span_id": "m1", "start_time": now - HOUR, "name": "chat"}
    store.insert("spans", [row])
    machine = Machine()
    machine.wall = now
    new_clock = partial(BelievedClock, wall=lambda: machine.wall, steady_s=lambda: machine.steady_s)
    config = RetentionConfig(spans_days=3000, evaluations_days=3000)
    asked: list[datetime] = []

    def asked_at(*_: object, now: datetime) -> list[object]:
        asked.append(now)
        return []

    monkeypatch.setattr("evalspan.collector.retention.drop_old", asked_at)
    first = Keeper(store, config, clock=new_clock)
    first.look()
    machine.wall += 20 * YEAR
    first.look()
    assert "nothing is deleted" in first.problem
    second = Keeper(store, config, clock=new_clock)  # a restart
    second.look()
    assert "nothing is deleted" in second.problem
    machine.passes(25 * HOUR)
    second.look()
    assert not second.problem
    assert [one.year - now.year for one in asked] == [0, 0, 0, 20]
    machine.wall = now
    second.look()
    third = Keeper(store, config, clock=new_clock)
    third.look()
    assert not third.problem
    store.command("DELETE FROM spans WHERE project = 'moved-clock'")
    store.command("DELETE FROM cursors WHERE consumer = 'retention/clock'")


def test_an_alert_that_ended_under_a_clock_ahead_may_fire_again() -> None:
    state = RuleState(evaluations_to_fire=1, evaluations_to_resolve=1, repeat_interval=3600)
    ahead = TODAY + DAY
    fired = [len(state.evaluate([("a",)], ahead)), len(state.evaluate([], ahead))]
    back = [len(state.evaluate([("a",)], TODAY + HOUR)), len(state.evaluate([], TODAY + HOUR))]
    assert (fired, back) == ([1, 1], [1, 1])
    assert not state.evaluate([("a",)], TODAY + HOUR + HOUR / 2), "it is quiet for the interval"
    assert state.evaluate([("a",)], TODAY + 3 * HOUR)


@pytest.mark.parametrize("began", [TODAY, datetime.now(UTC) - HOUR, datetime.now(UTC) + YEAR])
def test_the_end_of_an_alert_is_newer_than_its_begin_whatever_the_clock_says(began: datetime) -> None:
    written_us = (began + timedelta(minutes=10)).timestamp() * 1e6
    assert ending_version(began) > written_us


class Shifted(SpanScoringStore):
    """The queue of a store whose clock is ahead by so many milliseconds."""

    ahead_ms = 0

    def now(self) -> int:
        return super().now() + self.ahead_ms

    def waiting(
        self, scope: Any, window: tuple[int, int], cutoff: float, done: Any, limit: int
    ) -> list[dict[str, Any]]:
        # What is judged is stamped by the same clock.
        return super().waiting(scope, window, cutoff, {**done, "since": done["since"] - self.ahead_ms}, limit)


def test_spans_that_come_after_the_clock_went_back_are_judged_once(store: Store) -> None:
    """Under a clock ahead the position goes into the future; what is stored afterwards is before it."""
    project = fresh()
    fill(store, project, 3)
    queue, ready = Shifted(store), rule(project)
    queue.ahead_ms = 86_400_000
    ahead = worker.RuleWorker(ready, queue)
    judged = judge_all(ahead)
    assert ahead.position > time.time() * 1000 + 80_000_000
    queue.ahead_ms = 0
    fill(store, project, 4)
    # Once in the process that saw it, once in one that starts afterwards: the newest state counts, not the one ahead.
    judged += judge_all(ahead)
    fill(store, project, 5)
    judged += judge_all(worker.RuleWorker(ready, Shifted(store)))
    assert judged == 12
    assert len(evaluations(store, project)) == 12


def test_a_plan_that_was_made_under_a_clock_ahead_is_not_judged_again_and_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = fresh()
    fill(store, project, 6)
    monkeypatch.setattr(worker, "PAGE", 2)
    queue = Shifted(store)
    queue.ahead_ms = 86_400_000
    one = worker.RuleWorker(rule(project), queue)
    asyncio.run(one.tick(9))
    queue.ahead_ms = 0
    assert 2 + judge_all(one) == 6


def judge_all(one: worker.RuleWorker) -> int:
    """Ticks until nothing is left; how many units were judged."""
    judged = 0

    def tell(**numbers: float) -> None:
        nonlocal judged
        judged += int(numbers.get("scored", 0))

    one._tell = tell  # type: ignore[method-assign]
    for _ in range(20):
        if asyncio.run(one.tick(9)):
            return judged
    raise AssertionError("it never came to an end")
