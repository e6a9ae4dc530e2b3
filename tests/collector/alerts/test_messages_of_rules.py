"""A rule's message is checked when the rule is read, and an odd rule costs itself."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest

from evalspan.collector.alerts.config import SinkConfig
from evalspan.collector.alerts.rule import AlertRule
from evalspan.collector.alerts.sinks import Sink
from evalspan.collector.alerts.watcher import Watcher
from evalspan.queries.host.telemetry import Telemetry
from evalspan.queries.store.client import Store


@pytest.mark.parametrize(
    "message", ["{value:.1f}", "{", "}", "{}", "{0}", "{a.b}", "{a[0]}", "{value!r}", "{{}", "{a b}"]
)
def test_a_message_that_cannot_be_filled_in_is_refused(message: str) -> None:
    with pytest.raises(ValueError, match="message"):
        AlertRule(name="r", condition="value > 1", telemetry="log_backlog_bytes", message=message)


@pytest.mark.parametrize("message", ["", "plain", "{value} of {n}", "{{literal}} {value}"])
def test_messages_with_names_of_columns_are_fine(message: str) -> None:
    AlertRule(name="r", condition="value > 1", telemetry="log_backlog_bytes", message=message)


async def test_a_rule_that_raises_ends_no_other(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [
        AlertRule(name=name, condition="value >= 0", telemetry="log_backlog_bytes", every_s=0.05, project="rules-odd")
        for name in ("odd", "good")
    ]
    telemetry = Telemetry()
    watcher = Watcher(store, rules, [], telemetry)
    evaluate = watcher.evaluate

    async def odd(rule: AlertRule, now: Any) -> Any:
        if rule.name == "odd":
            raise KeyError("something of our own")
        return await evaluate(rule, now)

    monkeypatch.setattr(watcher, "evaluate", odd)
    task = asyncio.create_task(watcher.run())
    for _ in range(200):
        await asyncio.sleep(0.05)
        if telemetry.total("alert_evaluations_total", rule="good") >= 3:
            break
    assert not task.done()
    assert telemetry.total("alert_evaluation_failures_total", rule="odd") >= 1
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_notice_from_a_thread_wakes_the_sink() -> None:
    delivered = asyncio.Event()
    sink = Sink(SinkConfig(name="s", kind="log"), lambda *_, **__: delivered.set())
    task = asyncio.create_task(sink.run())
    await asyncio.sleep(0)
    notice = {"severity": "low", "state": "firing", "name": "r", "rule": "r", "message": "m", "traces": [], "row": {}}
    thread = threading.Thread(target=sink.enqueue, args=(notice,))
    thread.start()
    await asyncio.wait_for(delivered.wait(), 5)
    thread.join()
    task.cancel()
