"""Weeks of traffic through the whole service on a synthetic clock: OTLP in, scored online, watched by its alert rules."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.alerts.config import BUILT_IN

from ..collector.serving import Collector, rows_of, serving
from ..collector.traffic import add_span
from . import simulated_service
from .simulated_service import set_clock
from .test_monitoring_simulation import DEGRADED, HEALTHY, SCORES, START, WINDOW

BASELINE, QUIET, SOON, N = 28, 10, 15, 20
EDITED_AT = BASELINE + QUIET  # the window from which on the edited applications answer half a point worse
STEADY, EDITED = ("steady-0",), ("edited-0", "edited-1")

EVALUATOR = """
from evalspan.evaluators import Score, evaluator

@evaluator(name="points", version="1", threshold=2, inline=True)
def points(output):
    \"\"\"How many points the answer makes.\"\"\"
    return Score(float(output.count(".")))
"""
EVALUATION = """
[receive]
flush_ms = 50
[evaluation]
poll_s = 0.1
[[evaluation.rules]]
name = "answers"
evaluators = ["{module}:points"]
quiet_s = 0
backfill_from = 2020-01-01
"""
ALERTS = """
[alerts]
built_in = false
"""
ALERT = """
[[alerts.rules]]
name = "{name}"
query = "{rule.query}"
parameters = {{ {parameters} }}
condition = "{rule.condition}"
by = {by}
severity = "{rule.severity}"
every_s = 21600
message = "{rule.message}"
"""


def alert_of(built_in: str, name: str, **parameters: str) -> str:
    """A rule that the service has built in, under another name, with more parameters, asked once a window."""
    rule = next(one for one in BUILT_IN if one.name == built_in)
    given = ", ".join(f"{key} = {json.dumps(value)}" for key, value in {**rule.parameters, **parameters}.items())
    return ALERT.format(name=name, rule=rule, parameters=given, by=json.dumps(rule.by))


def settings(folder: Path) -> str:
    module = f"monitored_{folder.name.replace('-', '_')}"
    (folder / f"{module}.py").write_text(EVALUATOR)
    rules = [alert_of("quality_degradation", f"quality of {one}", service=one) for one in (*STEADY, *EDITED)]
    rules.append(alert_of("new_prompt_fingerprint", "new prompt"))
    return EVALUATION.format(module=module) + ALERTS + "".join(rules)


def prompt_of(service: str, window: int) -> str:
    edited = service in EDITED and window >= EDITED_AT
    return f"You are the assistant of {service}. {'Be brief!' if edited else 'Make five points.'}"


class Applications:
    """What three applications say in every window; drawn once, so that a failure repeats itself."""

    def __init__(self) -> None:
        self._draws = {name: np.random.default_rng(2000 + i) for i, name in enumerate((*STEADY, *EDITED))}
        self.sent = 0

    def window(self, number: int) -> ExportTraceServiceRequest:
        request = ExportTraceServiceRequest()
        for service, rng in self._draws.items():
            group = request.resource_spans.add()
            group.resource.attributes.add(key="service.name").value.string_value = service
            spans = group.scope_spans.add().spans
            likely = DEGRADED if service in EDITED and number >= EDITED_AT else HEALTHY
            for i, points in enumerate(rng.choice(SCORES, p=likely, size=N)):
                at = START + WINDOW * (number + (i + 0.5) / N)
                add_span(
                    spans,
                    start_ns=int(at.timestamp() * 1000) * 1_000_000,
                    attributes={
                        "gen_ai.system_instructions": _text(prompt_of(service, number)),
                        "gen_ai.output.messages": _message("One more point." * int(points)),
                    },
                )
                self.sent += 1
        return request


def _text(text: str) -> str:
    return json.dumps([{"type": "text", "content": text}])


def _message(text: str) -> str:
    return json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": text}]}])


def total(collector: Collector, name: str, *labels: str) -> float:
    """The counter's sum over the label sets that hold all of `labels`."""
    counters = collector.metrics().items()
    return sum(v for key, v in counters if key.split("{")[0] == name and all(label in key for label in labels))


def until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what} did not come to pass"
        time.sleep(0.05)


def pass_window(collector: Collector, apps: Applications, number: int) -> None:
    """Sends a window, waits until it is scored, turns the clock to its end and waits for every rule's look."""
    assert collector.post(apps.window(number).SerializeToString()).status == 200
    if number < BASELINE:
        return
    until(lambda: total(collector, "online_evaluation_total", 'stage="scored"') >= apps.sent, "scoring")
    looks = total(collector, "alert_looks_total")
    set_clock(collector.path.parent, START + WINDOW * (number + 1))
    rules = len(STEADY) + len(EDITED) + 1
    until(lambda: total(collector, "alert_looks_total") >= looks + rules, "a look at every rule")


@pytest.fixture(scope="module")
def raised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store after the baseline, a quiet stretch and the edits, watched window by window."""
    folder = tmp_path_factory.mktemp("monitored")
    path, apps = folder / "store", Applications()
    set_clock(folder, START + WINDOW * BASELINE)
    program = (simulated_service.__file__,)
    with serving(path, settings=settings(folder), program=program) as collector:
        for number in range(EDITED_AT + SOON):
            pass_window(collector, apps, number)
            if total(collector, "alerts_total", 'rule="quality of edited', 'state="firing"') == len(EDITED):
                break
        assert collector.stop() == 0
    return path


def fired(path: Path) -> list[tuple[str, str, int]]:
    """Rule, label and window of every alert that fired, whether or not it was resolved later."""
    rows = rows_of(path, "SELECT DISTINCT rule_id, mapValues(labels)[1], toUnixTimestamp(started_at) FROM alerts")
    return [(rule, label, round((at - START.timestamp()) / WINDOW.total_seconds())) for rule, label, at in rows]


def edited_prompts(path: Path) -> dict[str, str]:
    """The fingerprint of each edited application's new prompt."""
    moment = (START + WINDOW * EDITED_AT).timestamp()
    return dict(rows_of(path, f"SELECT DISTINCT service, system_hash FROM spans WHERE start_time >= {moment}"))


pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_b01_a_healthy_stretch_raises_nothing_in_the_running_service(raised: Path) -> None:
    alerts = fired(raised)
    assert [alert for alert in alerts if alert[2] <= EDITED_AT] == []
    assert [alert for alert in alerts if any(name in alert[0] for name in STEADY)] == []


def test_b01_w06_half_a_point_less_is_found_within_15_windows_by_the_running_service(raised: Path) -> None:
    found = {rule.removeprefix("quality of "): at - EDITED_AT for rule, _, at in fired(raised) if "quality of" in rule}
    assert set(found) == set(EDITED)
    assert max(found.values()) <= SOON


def test_b13_an_edited_prompt_is_named_in_the_window_of_the_edit_and_no_other_is(raised: Path) -> None:
    prompts = edited_prompts(raised)
    named = {(label, at) for rule, label, at in fired(raised) if rule == "new prompt"}
    assert named == {(prompts[name], EDITED_AT + 1) for name in EDITED}
