"""A month of applications through the whole service on a synthetic clock: OTLP in, scored online, watched by its rules."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.alerts.built_in import BUILT_IN

from ..collector.serving import Collector, rows_of, serving, until
from ..collector.traffic import add_span
from . import simulated_service
from .simulated_service import set_clock
from .test_monitoring_simulation import BEFORE, CHANGED, SOAK, START, WINDOW, N, traffic

SOON = 15  # windows
EDITED_AT = BEFORE + CHANGED  # the window from which on the edited applications answer half a point worse
# The full size under --soak; else fewer applications, looked at less often.
STEADY = tuple(f"steady-{seed:02d}" for seed in range(50 if SOAK else 3))
EDITED = tuple(f"edited-{seed:02d}" for seed in range(11 if SOAK else 2))
WINDOWS, LOOK_EVERY = (100, 2) if SOAK else (39, 3)
# At which windows somebody looks: until the edit less often in the small size, for the detectors see all windows anyway.
LOOKS = range(LOOK_EVERY, WINDOWS + 1, LOOK_EVERY) if SOAK else (9, 18, 27, 30, 33, 36, 39)

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
every_s = {every_s}
message = "{rule.message}"
"""


def alert_of(built_in: str, name: str, every: int, **parameters: str) -> str:
    """A rule that the service has built in, under another name, with more parameters, asked every so many windows."""
    rule = next(one for one in BUILT_IN if one.name == built_in)
    given = ", ".join(f"{key} = {json.dumps(value)}" for key, value in {**rule.parameters, **parameters}.items())
    every_s = int(WINDOW.total_seconds()) * every
    return ALERT.format(name=name, rule=rule, parameters=given, by=json.dumps(rule.by), every_s=every_s)


def settings(folder: Path) -> str:
    module = f"monitored_{folder.name.replace('-', '_')}"
    (folder / f"{module}.py").write_text(EVALUATOR)
    rules = [alert_of("quality_degradation", f"quality of {one}", service=one, every=EVERY[one]) for one in POINTS]
    rules.append(alert_of("new_prompt_fingerprint", "new prompt", LOOK_EVERY))
    return EVALUATION.format(module=module) + ALERTS + "".join(rules)


def prompt_of(service: str, window: int) -> str:
    edited = service in EDITED and window >= EDITED_AT
    return f"You are the assistant of {service}. {'Be brief!' if edited else 'Make five points.'}"


# A look a day is enough at what keeps quiet: an alarm stays for a week.
EVERY = {**dict.fromkeys(STEADY, 2 * LOOK_EVERY), **dict.fromkeys(EDITED, LOOK_EVERY)}
# One seed an application.
POINTS = {service: traffic(seed, drop=service in EDITED) for seed, service in enumerate((*STEADY, *EDITED))}


def request_of(window: int) -> ExportTraceServiceRequest:
    """What all the applications say in a window."""
    request = ExportTraceServiceRequest()
    for service, points in POINTS.items():
        group = request.resource_spans.add()
        group.resource.attributes.add(key="service.name").value.string_value = service
        spans = group.scope_spans.add().spans
        for i, said in enumerate(points[window]):
            at = START + WINDOW * (window + (i + 0.5) / N)
            add_span(
                spans,
                start_ns=int(at.timestamp() * 1000) * 1_000_000,
                attributes={
                    "gen_ai.system_instructions": _text(prompt_of(service, window)),
                    "gen_ai.output.messages": _message("One more point." * int(said)),
                },
            )
    return request


def _text(text: str) -> str:
    return json.dumps([{"type": "text", "content": text}])


def _message(text: str) -> str:
    return json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": text}]}])


def total(collector: Collector, name: str, *labels: str) -> float:
    """The counter's sum over the label sets that hold all of `labels`."""
    counters = collector.metrics().items()
    return sum(v for key, v in counters if key.split("{")[0] == name and all(label in key for label in labels))


def pass_windows(collector: Collector, upto: int, asked: dict[str, int]) -> None:
    """Waits until everything before window `upto` is scored, turns the clock there and waits for the rules' look."""
    sent = upto * N * len(POINTS)
    until(lambda: total(collector, "online_evaluation_total", 'stage="scored"') >= sent, pause_s=0.1)
    looks = total(collector, "alert_evaluations_total")
    set_clock(collector.path.parent, START + WINDOW * upto)
    # A rule whose interval has passed is asked once, however often it has.
    due = [
        name for name, every in {**EVERY, "new prompt": LOOK_EVERY}.items() if asked.get(name, BEFORE) + every <= upto
    ]
    asked.update(dict.fromkeys(due, upto))
    until(lambda: total(collector, "alert_evaluations_total") >= looks + len(due), pause_s=0.1)


@pytest.fixture(scope="module")
def raised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store after a baseline of a week and the windows after it, which are watched."""
    folder = tmp_path_factory.mktemp("monitored")
    path = folder / "store"
    set_clock(folder, START + WINDOW * BEFORE)
    program = (simulated_service.__file__,)
    with serving(path, settings=settings(folder), program=program) as collector:
        request, asked = ExportTraceServiceRequest(), dict[str, int]()
        for window in range(BEFORE + WINDOWS):
            request.MergeFrom(request_of(window))
            watched = window + 1 - BEFORE
            if watched == 0 or watched in LOOKS or request.ByteSize() > 8 << 20:
                assert collector.post(request.SerializeToString()).status == 200
                request.Clear()
            if watched in LOOKS:
                pass_windows(collector, window + 1, asked)
        assert collector.stop() == 0
    return path


def fired(path: Path) -> list[tuple[str, str, int]]:
    """Rule, label and window of every alert that fired, whether or not it was resolved later; the first look first."""
    rows = rows_of(
        path, "SELECT DISTINCT rule_id, mapValues(labels)[1], toUnixTimestamp(started_at) AS at FROM alerts ORDER BY at"
    )
    return [(rule, label, round((at - START.timestamp()) / WINDOW.total_seconds())) for rule, label, at in rows]


def degraded(path: Path) -> dict[str, int]:
    """The window of each application's first alarm about its quality."""
    found: dict[str, int] = {}
    for rule, _, window in fired(path):
        if rule.startswith("quality of "):
            found.setdefault(rule.removeprefix("quality of "), window)
    return found


def edited_prompts(path: Path) -> set[str]:
    """The fingerprints of the edited applications' new prompts."""
    moment = (START + WINDOW * EDITED_AT).timestamp()
    sql = f"SELECT DISTINCT system_hash FROM spans WHERE start_time >= {moment} AND startsWith(service, 'edited')"
    return {found for (found,) in rows_of(path, sql)}


pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200 if SOAK else 900)]


def test_b01_at_most_one_healthy_application_in_twenty_raises_an_alarm_in_a_hundred_windows(raised: Path) -> None:
    alarms = degraded(raised)
    false_alarms = sum(service in alarms for service in STEADY)
    assert false_alarms / len(STEADY) <= 0.05 + 3 * (0.05 * 0.95 / len(STEADY)) ** 0.5


def test_b01_w06_half_a_point_less_is_found_within_15_windows_at_the_median(raised: Path) -> None:
    alarms = degraded(raised)
    delays = [alarms.get(service, 999) - EDITED_AT for service in EDITED]
    assert sum(delay <= 0 for delay in delays) <= len(EDITED) // 3
    assert float(np.median([delay for delay in delays if delay > 0])) <= SOON


def test_b13_an_edited_prompt_is_named_at_the_look_after_the_edit_and_no_other_is(raised: Path) -> None:
    named = {(label, at) for rule, label, at in fired(raised) if rule == "new prompt"}
    assert named == {(prompt, EDITED_AT + LOOK_EVERY) for prompt in edited_prompts(raised)}
    assert len(named) == len(EDITED)
