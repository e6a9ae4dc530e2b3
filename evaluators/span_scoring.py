"""Scores stored spans on demand: a suite over a period, an evaluator's new version against its old, or as they arrive.

The online engine does the same by rules; both write evaluations under deterministic ids, so nothing counts twice.
"""

from __future__ import annotations

import asyncio
import signal
import tomllib
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..instrument.errors import UsageError
from ..queries.rebaselining import both_versions, scored_by_another
from ..queries.scoring import Queue, Scope
from .arguments import span_arguments
from .evaluator import Evaluator
from .online import EvaluationConfig, Follower, checked, read_rules
from .rows import Source, evaluation_row
from .running import run_evaluator
from .scoring import Scored

if TYPE_CHECKING:
    from ..queries.database import Store
    from ..queries.remote import RemoteStore

PAGE = 200


async def score_spans(
    store: Store | RemoteStore,
    suite: Sequence[Evaluator],
    *,
    since: timedelta,
    where: str = "operation = 'chat'",
    project: str = "default",
    fraction: float = 1.0,
    concurrency: int = 16,
    timeout_s: float | None = None,
    rebaselined: frozenset[str] = frozenset(),
    advance: Callable[[], None] = lambda: None,
) -> list[Scored]:
    """Scores the spans stored in the period that this suite's versions have not scored, and writes the evaluations.

    `fraction` draws by the hash of the span id and weights the rows by its inverse. Evaluators in `rebaselined` take
    only spans that an older version of theirs has scored. Raises QueryError for a condition that ClickHouse refuses.
    """
    queue = Queue(store)
    queue.check_condition(where)
    until = queue.now()
    after = until - int(since.total_seconds() * 1000)
    scored: list[Scored] = []
    for one in suite:
        condition = f"({where}) AND {scored_by_another(one.name, one.version)}" if one.name in rebaselined else where
        done = {"names": [one.name], "versions": [one.version], "author": "", "since": 0}
        slots = asyncio.Semaphore(concurrency)
        while True:
            rows = await asyncio.to_thread(
                queue.waiting, Scope(project, condition), (after, until), fraction, done, PAGE
            )
            if not rows:
                break
            context = await asyncio.to_thread(queue.retrieved, rows)
            page = await asyncio.gather(
                *(
                    _score_span(one, row, context.get(str(row["trace_id"])), slots, timeout_s, fraction, advance)
                    for row in rows
                )
            )
            await asyncio.to_thread(store.insert, "evaluations", [row for row, _ in page])
            scored += [result for _, result in page]
    return scored


def compare_versions(
    store: Store | RemoteStore, evaluator: Evaluator, *, since: timedelta, project: str = "default"
) -> str:
    """How the current version scores against the one before it on the same spans, in one line."""
    from .statistics import paired_difference

    pairs = both_versions(store, evaluator.name, evaluator.version, int(since.total_seconds()), project)
    if len(pairs) < 2:
        return f"{evaluator.name}: {len(pairs)} spans have a score of both versions: too few to compare"
    old, new = [float(pair["old"]) for pair in pairs], [float(pair["new"]) for pair in pairs]
    result = paired_difference(new, old)
    low, high = result.interval
    versions = f"{pairs[0]['old_version']} -> {evaluator.version}"
    return (
        f"{evaluator.name} {versions} on the same {len(pairs)} spans: mean {sum(old) / len(old):.3f} -> "
        f"{sum(new) / len(new):.3f}, difference {result.mean:+.3f} (95 % {low:+.3f} to {high:+.3f}, p {result.p:.2g}). "
        "Scores of different versions are not compared otherwise"
    )


def follow(store: Store | RemoteStore, options: dict[str, Any], *, shard: int, shards: int) -> None:
    """Scores spans as they arrive until SIGINT or SIGTERM; by the rules of a file, or one rule made of a suite.

    Raises UsageError with the reason when no rule can run.
    """
    config, ready, problems = _rules(options)
    ready, refused = checked(ready, Queue(store))
    if not ready:
        said = "; ".join(map(str, [*problems, *refused])) or "there is no rule"
        raise UsageError(f"nothing to follow: {said}", hint="see docs/online-evaluation.md")
    follower = Follower(store, ready, config, shard=shard, shards=shards)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: follower.stop())
    follower.run()


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


async def _score_span(
    one: Evaluator, row: dict[str, Any], context: str | None, slots: asyncio.Semaphore, timeout_s: float | None,
    fraction: float, advance: Callable[[], None],
) -> tuple[dict[str, Any], Scored]:  # fmt: skip
    arguments = span_arguments(row, context=context)
    async with slots:
        outcome = await run_evaluator(one, timeout_s=timeout_s, **arguments)
    advance()
    source: Source = getattr(one, "source", "code")
    stored = evaluation_row(
        outcome, project=str(row["project"]), source=source, span=row, evaluation_weight=1 / fraction
    )
    words = len(str(arguments.get("output") or "").split())
    weight = float(stored["sample_weight"]) or 1.0
    cluster = str(row.get("conversation_id") or "")
    return stored, Scored(f"{row['trace_id']}/{row['span_id']}", "", outcome, weight, cluster, words, source)
