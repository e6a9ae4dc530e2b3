"""Online evaluation in the service: the rules of `[evaluation]`, worked off beside the receivers and never in their way."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ...errors import EvalspanError
from ...evaluators.online import EvaluationConfig, Follower, ReadyRule, RuleProblem, checked, read_rules
from ...evaluators.online.state import State
from ...queries.span_scoring_store import SpanScoringStore
from ..log_output import announce
from . import aggregates

if TYPE_CHECKING:
    from aiohttp import web

    from ...queries.host import Host
    from ...queries.store.client import Store
    from ..config import Config

_log = logging.getLogger(__name__)


def attach(app: web.Application, host: Host, config: Config) -> None:
    """Start a worker thread with the service, when `[evaluation]` has rules that can run.

    It has an event loop of its own: an evaluator that blocks or a judge that hangs holds up neither receivers nor
    inserts. A rule that cannot run is refused here, loudly, and the others run.
    """
    evaluation = config.evaluation
    if evaluation.aggregates_every_s:
        app.cleanup_ctx.append(partial(_aggregates, host, config))
    if not evaluation.rules:
        return
    ready, problems = ready_rules(config, host.store)
    for problem in problems:
        _log.error("%s", problem)
    host.telemetry.gauge("online_rules_off", lambda: len(problems))
    try:
        remember_problems(host.store, [one.rule.name for one in ready], problems)
    except EvalspanError as error:
        # A table that cannot be read costs what is known of the rules, not the service.
        _log.error("problems of rules are not kept in the store: %s", error)
    if not evaluation.in_service or not ready:
        return

    async def run(_: web.Application) -> AsyncIterator[None]:
        shard, shards = evaluation.share
        stopped = threading.Event()
        counts, durations = host.telemetry.add, host.telemetry.observe
        follower = Follower(host.store, ready, evaluation, shard=shard, shards=shards, count=counts, observe=durations)
        thread = threading.Thread(
            target=host.supervisor.keep_running_thread,
            args=("online_evaluation", follower.run, stopped),
            name="online evaluation",
            daemon=True,
        )
        thread.start()
        host.telemetry.gauge("online_lag_seconds", lambda: lag_s(follower))
        yield
        stopped.set()
        follower.stop()
        await asyncio.to_thread(thread.join, 10)

    app.cleanup_ctx.append(run)


async def _aggregates(host: Host, config: Config, _: web.Application) -> AsyncIterator[None]:
    """Sums up the scores of every window on stderr while the service runs, whoever made them."""
    projects = sorted({"default", *config.auth.keys.values()})
    every_s = config.evaluation.aggregates_every_s
    stop = asyncio.Event()
    follow = partial(aggregates.follow, host.store, projects, every_s, _say_window, stop)
    task = asyncio.create_task(host.supervisor.keep_running("aggregates", follow))
    yield
    stop.set()
    await task


def _say_window(line: str) -> None:
    announce(f"scores {line}", **msgspec.json.decode(line))


def ready_rules(config: Config, store: Store | None = None) -> tuple[list[ReadyRule], list[RuleProblem]]:
    """The rules that can run and the problems of the others; with a store, conditions are checked as well."""
    evaluation: EvaluationConfig = config.evaluation
    origin = config.origin("evaluation", "rules").rpartition(":")[0]
    path = Path(origin) if origin else None
    ready, problems = read_rules(evaluation.rules, path=path)
    if store is not None:
        ready, refused = checked(ready, SpanScoringStore(store))
        problems += refused
    return ready, problems


def remember_problems(store: Store, rules: Sequence[str], problems: Sequence[RuleProblem]) -> None:
    """Write which rules are off, and which are no longer there, where the funnel and the alarm look.

    Position and counts stay, so a rule that is mended goes on where it stopped.
    """
    queue = SpanScoringStore(store)
    for problem in problems:
        consumer = f"online/{problem.name}/0-1"
        position, row = queue.load(consumer) or (queue.now(), State(problem.name).as_row())
        queue.save(consumer, "default", position, {**row, "problem": f"{problem.reason} ({problem.where})"})
    known = {*rules, *(problem.name for problem in problems)}
    for consumer in queue.consumers():
        saved = queue.load(consumer)
        if saved is not None and consumer.split("/")[1] not in known and not saved[1].get("retired"):
            queue.save(consumer, "default", saved[0], {**saved[1], "retired": True, "queued": 0})


def lag_s(follower: Follower) -> float:
    """Seconds that the slowest rule is behind the spans that are stored."""
    positions = [worker.position for worker in follower.workers if worker.position >= 0]
    return max(0.0, time.time() - min(positions) / 1000) if positions else 0.0
