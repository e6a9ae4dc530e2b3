"""Asks again where a score lies at its threshold: a pass by a hair that the next run would lose is no pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from ..contract import Evaluator
from ..experiments.case_verdict import CaseCause, kind_of
from ..experiments.record import CaseResult

NEAR = 0.02  # of the threshold's size, and at least this much on a scale from 0 to 1


def at_the_threshold(result: CaseResult, suite: Sequence[Evaluator]) -> bool:
    """Whether the case's verdict could turn with the next answer."""
    if result.model_output is None:
        return False
    return any(_near(result, evaluator) for evaluator in suite)


def settle(first: CaseResult, again: Sequence[CaseResult]) -> CaseResult:
    """The first result if every repeat agrees, else inconclusive with the count."""
    statuses = Counter(one.status for one in [first, *again])
    if len(statuses) == 1:
        return first
    said = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    reasons = [one.failure_reason for one in [first, *again] if one.failure_reason]
    reason = f"unstable at the threshold: of {1 + len(again)} runs {said} ({reasons[0] if reasons else 'no reason'})"
    return msgspec.structs.replace(
        first, status="inconclusive", passed=None, failure_reason=reason, cause=CaseCause.UNSTABLE
    )


def _near(result: CaseResult, evaluator: Evaluator) -> bool:
    outcome = result.metric(evaluator.name)
    if outcome is None or outcome.value is None or evaluator.threshold is None:
        return False
    if outcome.value in (0.0, 1.0) and kind_of(evaluator) != "judge":
        return False  # an end of the scale is no hair's breadth
    return abs(outcome.value - evaluator.threshold) <= NEAR * max(1.0, abs(evaluator.threshold))
