"""How often the built-in degradation rules fire for nothing, and how soon where something happened, as the service evaluates them.

`python -m benchmarks.detection.rules [--applications 40] [--projects 10]` prints a markdown table. Four weeks of reference and 25
days (100 windows of six hours) pass on a synthetic clock, once a day all rules are evaluated; on the sixth day it happens.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import numpy as np

from evalspan.collector.alerts.built_in import BUILT_IN
from evalspan.collector.alerts.rule import AlertRule
from evalspan.collector.alerts.watcher import Watcher
from evalspan.queries.host.telemetry import Telemetry
from evalspan.queries.store.client import Store, open_store

START = datetime(2026, 1, 5, tzinfo=UTC)
REFERENCE_DAYS, WATCHED_DAYS, CHANGED_DAY = 28, 25, 5
SCORES_A_DAY, CALLS_A_DAY = 60, 200
SEGMENTS, SHARES, DRIFTED = ("home", "work", "school", "shop"), (0.6, 0.2, 0.1, 0.1), (0.35, 0.2, 0.1, 0.35)
HARD, BROKEN = "shop", "school"
SCORE_RULES = ("quality_degradation", "mix_degradation", "segment_degradation")
LATENCY_S, FAILING = 1.0, 0.02


class Story(NamedTuple):
    """What happens to an application, and which rule is for it."""

    rule: str
    change: dict[str, float]


SCORES = {
    "nothing": Story("", {}),
    "0.3 of 5 points less": Story("quality_degradation", {"fall": 0.3}),
    "0.5 of 5 points less": Story("quality_degradation", {"fall": 0.5}),
    "the hard tenth of the traffic becomes a third": Story("mix_degradation", {"mix": 1.0}),
    "a segment, a tenth of the traffic, loses 1 point": Story("segment_degradation", {"segment": 1.0}),
}
USAGE = {
    "nothing": Story("", {}),
    "calls take a fifth longer": Story("operations_degradation", {"slower": 1.2}),
    "5 % of the calls fail, 2 % did": Story("operations_degradation", {"failing": 0.05}),
}


def scores_of(rng: np.random.Generator, project: str, name: str, change: dict[str, float]) -> list[dict[str, Any]]:
    """The scores of one application (a metric of the project), from 1 to 5 with a standard deviation of about 1."""
    count = (REFERENCE_DAYS + WATCHED_DAYS) * SCORES_A_DAY
    days = (np.arange(count) + 0.5) / SCORES_A_DAY
    late = days >= REFERENCE_DAYS + CHANGED_DAY
    drifted = late & bool(change.get("mix"))
    segment = np.where(drifted, rng.choice(4, count, p=DRIFTED), rng.choice(4, count, p=SHARES))
    level = 4.0 - 1.0 * (segment == SEGMENTS.index(HARD)) - change.get("fall", 0.0) * late
    level = level - change.get("segment", 0.0) * (late & (segment == SEGMENTS.index(BROKEN)))
    score = np.clip(np.round(level + rng.normal(0, 0.9, count)), 1, 5)
    return [
        {
            "project": project,
            "evaluation_id": str(uuid.UUID(bytes=rng.bytes(16))),
            "name": name,
            "evaluator_version": "1",
            "source": "llm_judge",
            "trace_id": rng.bytes(16).hex(),
            "score": float(value),
            "segment": SEGMENTS[number],
            "span_time": START + timedelta(days=float(day)),
        }
        for value, number, day in zip(score, segment, days, strict=True)
    ]


def calls_of(rng: np.random.Generator, project: str, change: dict[str, float]) -> list[dict[str, Any]]:
    """The model calls of one application, a project of its own."""
    count = (REFERENCE_DAYS + WATCHED_DAYS) * CALLS_A_DAY
    days = (np.arange(count) + 0.5) / CALLS_A_DAY
    late = days >= REFERENCE_DAYS + CHANGED_DAY
    failed = rng.random(count) < np.where(late, change.get("failing", FAILING), FAILING)
    seconds = rng.lognormal(np.log(LATENCY_S), 0.5, count) * np.where(late, change.get("slower", 1.0), 1.0)
    return [
        {
            "project": project,
            "trace_id": rng.bytes(16).hex(),
            "span_id": rng.bytes(8).hex(),
            "role": "call",
            "operation": "chat",
            "request_model": "m",
            "status": "ERROR" if bad else "OK",
            "duration_ns": int(took * 1e9),
            "cost_usd": 0.001,
            "input_tokens": 200,
            "output_tokens": 50,
            "start_time": START + timedelta(days=float(day)),
        }
        for bad, took, day in zip(failed, seconds, days, strict=True)
    ]


def first_days(store: Store, rules: list[AlertRule]) -> dict[tuple[str, str], float]:
    """On which day of the watched time each rule fired first of each metric; looks once a day."""
    watcher, first = Watcher(store, rules, [], Telemetry()), dict[tuple[str, str], float]()
    for day in range(1, WATCHED_DAYS + 1):
        for rule in rules:
            turns = asyncio.run(watcher.evaluate(rule, START + timedelta(days=REFERENCE_DAYS + day)))
            for turn in turns:
                if turn.what == "fired":
                    first.setdefault((rule.name, turn.key[0]), day)
    return first


def rules_of(project: str, names: tuple[str, ...]) -> list[AlertRule]:
    """The built-in rules of these names, watching a project."""
    return [msgspec.structs.replace(rule, project=project) for rule in BUILT_IN if rule.name in names]


def watch_scores(store: Store, applications: int, seed: int = 1) -> dict[str, dict[str, list[float]]]:
    """Of each story and rule the days on which it fired, one for each application in which it did."""
    rng, project = np.random.default_rng(seed), f"rules-{uuid.uuid4()}"
    for story, (_, change) in SCORES.items():
        for number in range(applications):
            store.insert("evaluations", scores_of(rng, project, f"{story}/{number}", change))
    first = first_days(store, rules_of(project, SCORE_RULES))
    return {
        story: {rule: [day for (r, metric), day in first.items() if r == rule and metric.startswith(f"{story}/")] for rule in SCORE_RULES}
        for story in SCORES
    }  # fmt: skip


def watch_usage(store: Store, projects: int, seed: int = 2) -> dict[str, list[float]]:
    """Of each story the days on which `operations_degradation` fired first, one for each project in which it did."""
    rng, found = np.random.default_rng(seed), dict[str, list[float]]()
    for story, (_, change) in USAGE.items():
        found[story] = []
        for _ in range(projects):
            project = f"usage-{uuid.uuid4()}"
            store.insert("spans", calls_of(rng, project, change))
            fired = first_days(store, rules_of(project, ("operations_degradation",)))
            found[story] += [min(fired.values())] if fired else []
    return found


def row_of(story: str, rule: str, days: list[float], of: int, *, happened: bool) -> str:
    """A line of the table; days are counted from what happened, and an alarm before that is none of it."""
    after = [day - CHANGED_DAY for day in days if day > CHANGED_DAY] if happened else days
    delay = f"{np.median(after):.0f}" if happened and after else "-"
    return f"| {story} | {rule} | {len(after)} of {of} | {delay} |"


def main(print_line: Callable[[str], None] = print) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--applications", type=int, default=40)
    parser.add_argument("--projects", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_store(f"chdb://{folder}/store") as store:
        print_line("| what happens | rule | fired | median days until then |\n| --- | --- | ---: | ---: |")
        for story, by_rule in watch_scores(store, asked.applications).items():
            for rule, days in by_rule.items():
                print_line(row_of(story, rule, days, asked.applications, happened=SCORES[story].rule == rule))
        for story, days in watch_usage(store, asked.projects).items():
            print_line(row_of(story, "operations_degradation", days, asked.projects, happened=story != "nothing"))


if __name__ == "__main__":
    main()
