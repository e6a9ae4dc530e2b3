"""Scores stored spans on demand: a suite over a period, or an evaluator's new version against its old.

The online engine does the same by rules; both write evaluations under deterministic ids, so nothing counts twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ...queries.rebaselining import both_versions, scored_by_another
from ...queries.span_scoring_store import SpanScoringStore
from ..contract import Evaluator, Unit, unit_of
from ..evaluation_rows import Source, evaluation_row
from ..online import EvaluationRule, ReadyRule
from ..online.units import Item, units_of
from ..rubrics import RubricWriter
from ..runner import EvaluationResult, run_evaluator
from .outputs import Scored

if TYPE_CHECKING:
    from ...queries.store.protocol import StoreClient

PAGE = 200


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
