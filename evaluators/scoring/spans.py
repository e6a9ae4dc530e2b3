"""Scores stored spans on demand: a suite over a period, an evaluator's new version against its old, or as they arrive.

The online engine does the same by rules; both write evaluations under deterministic ids, so nothing counts twice.
"""

from __future__ import annotations

import asyncio
import signal
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import UsageError
from ...queries.rebaselining import both_versions, scored_by_another
from ...queries.span_scoring_store import SpanScoringStore
from ..contract import Evaluator, Unit, unit_of
from ..evaluation_rows import Source, evaluation_row
from ..online import EvaluationConfig, EvaluationRule, Follower, ReadyRule, checked, read_rules
from ..online.units import Item, units_of
from ..online.worker import RuleWorker
from ..rubrics import RubricWriter
from ..runner import EvaluationResult, run_evaluator
from .outputs import Scored

if TYPE_CHECKING:
    from ...queries.store.protocol import StoreClient

PAGE = 200
SAY_EVERY_S, ALIVE_S = 10.0, 60.0


async def score_spans(
    store: StoreClient,
    suite: Sequence[Evaluator],
    *,
    since: timedelta,
    where: str = "role = 'call' AND operation != 'embeddings'",
    project: str = "default",
    fraction: float = 1.0,
    concurrency: int = 16,
    timeout_s: float | None = None,
    rebaselined: frozenset[str] = frozenset(),
    advance: Callable[[], None] = lambda: None,
) -> list[Scored]:
    """Scores what was stored in the period and this suite's versions have not scored, and writes the evaluations.

    Each evaluator scores its own unit: spans, traces (`where` holds for one of their spans) or conversations.
    `fraction` draws by the hash of the unit's id and weights the rows by its inverse. Evaluators in `rebaselined` take
    only units that an older version of theirs has scored. Raises QueryError for a condition that ClickHouse refuses.
    """
    queue = SpanScoringStore(store)
    queue.check_condition(where)
    until = queue.now()
    after = until - int(since.total_seconds() * 1000)
    scored: list[Scored] = []
    rubrics = RubricWriter(store)
    for one in suite:
        unit = unit_of(one)
        again = one.name in rebaselined
        condition = f"({where}) AND {scored_by_another(one.name, one.version, unit)}" if again else where
        rule = EvaluationRule(name="score", evaluators=(one.name,), where=condition, project=project)
        units = units_of(ReadyRule(rule, [one]), queue)
        done = {"names": [one.name], "versions": [one.version], "author": "", "since": 0}
        slots = asyncio.Semaphore(concurrency)
        while items := await asyncio.to_thread(units.page, (after, until), fraction, done, PAGE):
            page = await asyncio.gather(
                *(_score_item(one, unit, item, slots, timeout_s, fraction, advance) for item in items)
            )
            rows = [row for row, _ in page]
            await asyncio.to_thread(store.insert, "evaluations", [*rows, *units.superseded(rows)])
            await asyncio.to_thread(rubrics.write, {str(row["project"]) for row in rows}, [one])
            scored += [result for _, result in page]
    return scored


def compare_versions(store: StoreClient, evaluator: Evaluator, *, since: timedelta, project: str = "default") -> str:
    """How the current version scores against the one before it on the same spans, in one line."""
    from ..experiments.compare import paired_by_cluster

    pairs = both_versions(store, evaluator.name, evaluator.version, int(since.total_seconds()), project)
    unit = unit_of(evaluator)
    if len(pairs) < 2:
        return f"{evaluator.name}: {len(pairs)} {unit}s have a score of both versions: too few to compare"
    old, new = [float(pair["old"]) for pair in pairs], [float(pair["new"]) for pair in pairs]
    clusters = [str(pair["cluster"]) for pair in pairs]
    difference, (low, high), p = paired_by_cluster(new, old, clusters)
    versions = f"{pairs[0]['old_version']} -> {evaluator.version}"
    return (
        f"{evaluator.name} {versions} on the same {len(pairs)} {unit}s ({len(set(clusters))} conversations or single traces): mean "
        f"{sum(old) / len(old):.3f} -> {sum(new) / len(new):.3f}, difference {difference:+.3f} (95 % {low:+.3f} to "
        f"{high:+.3f}, p {p:.2g}). Scores of different versions are not compared otherwise"
    )


def follow(store: StoreClient, options: dict[str, Any], *, shard: int, shards: int, say: Callable[[str], None]) -> None:
    """Scores spans as they arrive until SIGINT or SIGTERM; by the rules of a file, or one rule made of a suite.

    `say` is told what begins, what goes on and what is off. Raises UsageError with the reason when no rule can run.
    """
    config, ready, problems = _rules(options)
    queue = SpanScoringStore(store)
    ready, refused = checked(ready, queue)
    if not ready:
        said = "; ".join(map(str, [*problems, *refused])) or "there is no rule"
        raise UsageError(f"nothing to follow: {said}", hint="see docs/online-evaluation.md")
    progress = Progress(say)
    follower = Follower(store, ready, config, shard=shard, shards=shards, count=progress.count)
    for worker in follower.workers:
        say(beginning(queue, worker))
    for problem in (*problems, *refused):
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


def _rules(options: dict[str, Any]) -> tuple[EvaluationConfig, Any, list[Any]]:
    if not options["config_path"]:
        rule = {
            "name": f"score-{options['suite_name'].replace(':', '.')}"[:80],
            "evaluators": [options["suite_name"]],
            "where": options["where"],
            "project": options["project"],
            "probability": options["fraction"],
        }
        return EvaluationConfig(), *read_rules([rule])
    path = Path(options["config_path"])
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("evaluation", {})
        config = msgspec.convert(table, EvaluationConfig)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{path}: {error}", hint="it needs [[evaluation.rules]]") from error
    return config, *read_rules(config.rules, path=path)


async def _score_item(
    one: Evaluator, unit: Unit, item: Item, slots: asyncio.Semaphore, timeout_s: float | None, fraction: float,
    advance: Callable[[], None],
) -> tuple[dict[str, Any], Scored]:  # fmt: skip
    words = 0
    if item.refused:
        outcome = EvaluationResult(one.name, one.version, unscored=item.refused)
    else:
        arguments = item.arguments()
        words = len(str(arguments.get("output") or "").split())
        async with slots:
            outcome = await run_evaluator(one, timeout_s=timeout_s, **arguments)
    advance()
    source: Source = getattr(one, "source", "code")
    stored = evaluation_row(
        outcome,
        project=str(item.row["project"]),
        source=source,
        span=item.row,
        evaluation_weight=1 / fraction,
        metadata=item.details,
        unit=unit,
    )
    weight = float(stored["sample_weight"]) or 1.0
    cluster = str(item.row.get("conversation_id") or "")
    return stored, Scored("/".join(filter(None, item.key)), "", outcome, weight, cluster, words, source)
