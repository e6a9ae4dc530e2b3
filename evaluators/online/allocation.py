"""Learns where a rule's judge calls tell most: strata of the traffic, the variance of the scores in each, probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...queries.allocation_store import AllocationStore, stratum_of
from ...queries.literals import literal

if TYPE_CHECKING:
    from ...queries.span_scoring_store import SpanScoringStore
    from .config import EvaluationRule

MAX_STRATA = 50
"""The largest ones; the rest shares the probability of new strata."""


def inclusion_sql(rule: EvaluationRule, evaluators: list[str], store: SpanScoringStore) -> str:
    """The probability of a span as SQL, from what the last days say; every stratum that is new gets the largest one."""
    # Here: only rules with probability = "auto" need numpy, which a service that only takes spans does without.
    from ..statistics.allocation import Stratum, allocate, pooled_variance

    stratum = stratum_of(rule.segment, rule.proxy)
    strata = AllocationStore(store.store).strata(
        project=rule.project, where=rule.where, stratum=stratum, rule=rule.name, evaluators=evaluators
    )
    known = {
        name: Stratum(row["size"], row["n"], row["variance"])
        for name, row in sorted(strata.items(), key=lambda item: -item[1]["size"])[:MAX_STRATA]
    }
    if not known:
        return "1"
    day = rule.budget_per_day or (rule.budget_per_hour * 24 if rule.budget_per_hour else None)
    calls = None if day is None else day / max(1, len(evaluators))
    half_width = rule.interval if rule.interval is not None or calls is not None else 0.02
    chosen = allocate(known, half_width=half_width, calls=calls, floor=rule.min_probability)
    # A stratum that nobody has seen is as uncertain as scores are in general.
    fresh = allocate({**known, "": Stratum(0.0, 0.0, pooled_variance(known))}, half_width=half_width, calls=calls,
                     floor=rule.min_probability)[""]  # fmt: skip
    names = ", ".join(literal(name) for name in chosen)
    values = ", ".join(f"{value:.9g}" for value in chosen.values())
    return f"transform({stratum}, [{names}], [{values}], toFloat64({fresh:.9g}))"
