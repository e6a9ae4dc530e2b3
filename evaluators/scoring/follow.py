"""Scores spans as they arrive, until it is told to stop: by the rules of `[evaluation]`, or by one rule made of a suite."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import UsageError
from ...queries.rule_tables import RuleProblem
from ...queries.setting_checks import read_table
from ...queries.settings import FILE_NAME
from ...queries.span_scoring_store import SpanScoringStore
from ..online import EvaluationConfig, Follower, ReadyRule, checked, read_rules
from ..online.worker import RuleWorker

if TYPE_CHECKING:
    from ...queries.store.protocol import StoreClient

SAY_EVERY_S, ALIVE_S = 10.0, 60.0


class Rules(msgspec.Struct, frozen=True):
    """What is followed: the settings of `[evaluation]`, the rules that can be read, and why the others are off."""

    config: EvaluationConfig
    ready: list[ReadyRule]
    problems: list[RuleProblem]
    shard: int
    shards: int


def rules_to_follow(options: dict[str, Any]) -> Rules:
    """The rules of the settings, or one of `suite_name`, `where`, `project` and `fraction`; `shard` is I/N or None.

    Raises:
        ConfigError: `[evaluation]` is wrong.
        UsageError: the share is none, or there is no rule at all.
    """
    if options["suite_name"]:
        rule = {
            "name": f"score-{options['suite_name'].replace(':', '.')}"[:80],
            "evaluators": [options["suite_name"]],
            "where": options["where"],
            "project": options["project"],
            "probability": options["fraction"],
        }
        config = EvaluationConfig()
        ready, problems = read_rules([rule])
    else:
        config, sources = read_table("evaluation", EvaluationConfig)
        if not config.rules:
            where = f"{sources.file} has none" if sources.file else f"there is no {FILE_NAME} in {Path.cwd()}"
            raise UsageError(
                f"--follow needs rules: {where}.",
                hint="--suite module:evaluators, or [[evaluation.rules]] in the file.",
            )
        ready, problems = read_rules(config.rules, path=sources.file)
    index, count = _share(options["shard"] or config.shard)
    return Rules(config, ready, problems, index, count)


def _share(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not re.fullmatch(r"[0-9]+/[0-9]+", text) or int(index) >= int(count):
        raise UsageError(f"--shard {text!r} is not I/N with I below N", hint="for two processes: 0/2 and 1/2")
    return int(index), int(count)


def follow(store: StoreClient, rules: Rules, *, say: Callable[[str], None]) -> None:
    """Scores spans as they arrive until SIGINT or SIGTERM.

    `say` is told what begins, what goes on and what is off. Raises UsageError with the reason when no rule can run.
    """
    queue = SpanScoringStore(store)
    ready, refused = checked(rules.ready, queue)
    if not ready:
        said = "; ".join(map(str, [*rules.problems, *refused]))
        raise UsageError(f"nothing to follow: {said}", hint="see docs/online-evaluation.md")
    progress = Progress(say)
    follower = Follower(store, ready, rules.config, shard=rules.shard, shards=rules.shards, count=progress.count)
    for worker in follower.workers:
        say(beginning(queue, worker))
    for problem in (*rules.problems, *refused):
        say(str(problem))
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: follower.stop())
    follower.run()


class Progress:
    """Says now and then how many evaluations were written, so that silence means that there was nothing to score."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._said_at = say, 0.0
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, _: str, amount: int, *, rule: str, stage: str) -> None:
        """Takes a worker's counts, as /metrics does in the service."""
        self._counts[rule, stage] += amount
        if stage in ("scored", "unscored") and time.monotonic() - self._said_at >= SAY_EVERY_S:
            self._said_at = time.monotonic()
            scored, unscored = (self._counts[rule, stage] for stage in ("scored", "unscored"))
            self._say(f"rule {rule}: {scored} scored, {unscored} unscored so far")


def beginning(queue: SpanScoringStore, worker: RuleWorker) -> str:
    """Which spans a worker is about to score, and whether somebody else is at the same work."""
    saved = queue.load(worker.consumer)
    rule, now = worker.rule, queue.now()
    begin = saved[0] if saved else now if rule.backfill_ms is None else rule.backfill_ms
    when = datetime.fromtimestamp(begin / 1000, tz=UTC)
    unit = worker.units.unit
    delay = (rule.idle_s if unit == "conversation" else rule.quiet_s) + (now - queue.visible_until(now)) / 1000
    text = (
        f"rule {rule.name}, share {worker.state.shard}: {unit}s stored since {when:%Y-%m-%d %H:%M:%S} UTC where {rule.where}, "
        f"about {delay:.0f} s after they are stored; `evalspan score --since` is for earlier ones"
    )
    silent_s = (now - int(saved[1].get("heartbeat_ms", 0))) / 1000 if saved else float("inf")
    if silent_s < ALIVE_S:
        text += (
            f". Another process worked on this share {silent_s:.0f} s ago: if it still runs, both pay for the judges; "
            "give them --shard 0/2 and 1/2, or the service in_service = false"
        )
    return text
