"""What a rule may still spend this hour and today, counted from what is stored, so that no restart forgets a dollar."""

from __future__ import annotations

import math
from collections.abc import Callable

from .config import EvaluationRule

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# Before the first dollar is known, so few evaluations are made to learn what one costs.
LEARNING = 20


def spans_left(
    rule: EvaluationRule, evaluators: int, now: int, shards: int, spent: Callable[[int], tuple[int, float]]
) -> int | None:
    """How many spans this worker may still take in the current hour and day; None without a budget.

    `spent(since)` tells evaluations and dollars since a time in milliseconds. Budgets are shared equally by the
    workers of a rule. A span costs one evaluation for each evaluator.
    """
    left: list[float] = []
    for length, calls, dollars in (
        (HOUR_MS, rule.budget_per_hour, rule.budget_usd_per_hour),
        (DAY_MS, rule.budget_per_day, rule.budget_usd_per_day),
    ):
        if calls is None and dollars is None:
            continue
        made, cost = spent(now // length * length)
        if calls is not None:
            left.append((calls / shards - made) / evaluators)
        if dollars is not None:
            left.append(_affordable(dollars / shards - cost, made, cost) / evaluators)
    return None if not left or math.isinf(min(left)) else max(0, math.floor(min(left) + 1e-9))


def _affordable(remaining: float, made: int, cost: float) -> float:
    """How many evaluations the remaining dollars buy at the price paid so far."""
    if remaining <= 0:
        return 0.0
    if cost > 0:
        return remaining / (cost / made)
    return math.inf if made >= LEARNING else float(LEARNING)
