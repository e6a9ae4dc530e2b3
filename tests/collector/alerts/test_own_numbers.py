"""Rules over the service's own numbers: the numbers exist, under the names that rules, pages and help use."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

import evalspan
from evalspan.collector.alerts.built_in import BUILT_IN
from evalspan.collector.alerts.config import AlertRule
from evalspan.collector.alerts.load import validate
from evalspan.dashboard.status import DROPS
from evalspan.queries.host.telemetry import HELP

from ..serving import serving
from ..traffic import request_of

SOURCE = Path(evalspan.__file__).parent
WAITING = """
[receive]
flush_ms = 60000
[alerts]
built_in = false
[[alerts.rules]]
name = "waiting"
telemetry = "log_backlog_bytes"
condition = "value > 100"
every_s = 0.1
"""


@pytest.mark.slow
@pytest.mark.parametrize("signal", ["/v1/traces", "nothing"])
def test_b18_bytes_that_wait_for_the_store_raise_the_alert_in_a_running_service(tmp_path: Path, signal: str) -> None:
    with serving(tmp_path / "store", settings=WAITING) as collector:
        if signal != "nothing":
            assert collector.post(request_of(5).SerializeToString(), path=signal).status == 200
        until = time.monotonic() + 20
        while (found := collector.metrics()).get('alert_evaluations_total{rule="waiting"}', 0) < 20:
            assert time.monotonic() < until
            time.sleep(0.1)
        fired = found.get('alerts_total{rule="waiting",state="firing"}', 0)
        assert fired == (signal != "nothing"), found
        assert (found["log_backlog_bytes"] > 100) is (signal != "nothing")


def test_a_rule_on_a_number_that_nobody_counts_is_refused_with_the_nearest_one() -> None:
    rule = AlertRule(name="typo", telemetry="log_backlog_byte", condition="value > 1")
    good, (problem,) = validate([rule], None, [])
    assert good == []
    assert (problem.where, "did you mean 'log_backlog_bytes'" in problem.reason) == ("telemetry", True)


def test_every_number_that_is_counted_watched_or_shown_is_one_that_has_its_help() -> None:
    texts = [path.read_text() for folder in ("collector", "evaluators") for path in (SOURCE / folder).rglob("*.py")]
    named = {
        name for text in texts for name in re.findall(r'(?:telemetry\.(?:add|gauge)|_count)\(\s*"(\w+_\w+)"', text)
    }
    named |= {name for text in texts for name in re.findall(r'"(\w+_total)"', text)}
    assert len(named) > 20
    assert named - set(HELP) == set()
    assert set(DROPS) | {rule.telemetry for rule in BUILT_IN if rule.telemetry} <= set(HELP)
