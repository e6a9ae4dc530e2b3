"""Sums up scored outputs: per evaluator n, mean and pass rate with intervals, what was not scored and why, cost, advice."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ..builtin.hallucination import FALSE_POSITIVE_ADVICE
from ..judges.verbosity import verbosity_of_lengths
from ..scoring.outputs import Scored

COLUMNS = {
    "evaluator": "String",
    "version": "String",
    "n": "UInt64",
    "mean": "Nullable(Float64)",
    "low": "Nullable(Float64)",
    "high": "Nullable(Float64)",
    "pass_rate": "Nullable(Float64)",
    "pass_low": "Nullable(Float64)",
    "pass_high": "Nullable(Float64)",
    "unscored": "UInt64",
    "why": "String",
    "cost_usd": "Nullable(Float64)",
}


class Summary(msgspec.Struct, frozen=True):
    """One evaluator over all outputs; intervals are 95 %. None where there is nothing to say."""

    evaluator: str
    version: str
    n: int
    mean: float | None
    low: float | None
    high: float | None
    pass_rate: float | None
    pass_low: float | None
    pass_high: float | None
    unscored: int
    why: str
    cost_usd: float | None


def summaries(scored: Iterable[Scored]) -> list[Summary]:
    """One summary for each evaluator and version."""
    groups: dict[tuple[str, str], list[Scored]] = defaultdict(list)
    for one in scored:
        groups[one.outcome.name, one.outcome.version].append(one)
    return [_summary(name, version, group) for (name, version), group in groups.items()]


def advice(scored: Iterable[Scored]) -> list[str]:
    """What the numbers call for, each with its remedy: judges' own warnings, length, unpriced calls, uncalibrated thresholds."""
    groups: dict[str, list[Scored]] = defaultdict(list)
    for one in scored:
        groups[one.outcome.name].append(one)
    notes: list[str] = []
    for name, group in groups.items():
        valued = [one for one in group if one.outcome.value is not None]
        warned = Counter(note for one in valued for note in one.outcome.details.get("warnings") or ())
        notes += [f"{name}: {note} ({count} of {len(valued)} outputs)" for note, count in warned.items()]
        if valued and valued[0].source == "llm_judge":
            length = verbosity_of_lengths(
                [one.words for one in valued], [float(one.outcome.value or 0) for one in valued]
            )
            notes += [f"{name}: {length.warning}"] if length.warning else []
        if any(one.outcome.details.get("calibration") == "uncalibrated" for one in valued):
            notes.append(
                f"{name}: uncalibrated; hold it against human labels with `evalspan calibrate` before it may gate"
            )
        invented = [one for one in valued if one.outcome.details.get("has_hallucinations")]
        if len(valued) >= 5 and len(invented) > len(valued) / 2:
            notes.append(
                f"{name}: {len(invented)} of {len(valued)} outputs have hallucinations; {FALSE_POSITIVE_ADVICE}"
            )
    return notes


def mean_interval(
    values: Sequence[float], weights: Sequence[float], clusters: Sequence[str]
) -> tuple[float, float, float]:
    """Weighted mean with a 95 % t interval over clusters; an empty cluster stands alone. One value has an infinite one.

    Source: linearised with-replacement variance of Hajek's mean, Sarndal et al. (1992), 5.7 and 4.6, between clusters.
    """
    from ..statistics.distributions import student_quantile

    total = math.fsum(weights)
    mean = math.fsum(w * y for w, y in zip(weights, values, strict=True)) / total
    residuals: dict[Any, float] = defaultdict(float)
    for place, (value, weight, cluster) in enumerate(zip(values, weights, clusters, strict=True)):
        residuals[cluster or place] += weight * (value - mean)
    n = len(residuals)
    if n < 2:
        return mean, -math.inf, math.inf
    error = math.sqrt(math.fsum(one**2 for one in residuals.values()) * n / (n - 1)) / total
    half = student_quantile(n - 1, 0.975) * error
    return mean, mean - half, mean + half


def _summary(name: str, version: str, group: Sequence[Scored]) -> Summary:
    valued = [one for one in group if one.outcome.unscored is None and one.outcome.value is not None]
    judged = [one for one in valued if one.outcome.passed is not None]
    missing = Counter(str(one.outcome.unscored) for one in group if one.outcome.unscored is not None)
    mean, low, high = _mean(valued)
    pass_rate, pass_low, pass_high = _pass_rate(judged)
    why = "; ".join(f"{count} x {reason}" for reason, count in missing.most_common(3))
    costs = [one.outcome.cost_usd for one in group if one.source == "llm_judge"]
    known = [cost for cost in costs if cost is not None]
    spent = math.fsum(known) if len(known) == len(costs) and costs else None
    unscored = sum(missing.values())
    return Summary(
        name, version, len(valued), mean, low, high, pass_rate, pass_low, pass_high, unscored, why, spent
    )  # fmt: skip


def _mean(valued: Sequence[Scored]) -> tuple[float | None, float | None, float | None]:
    if not valued:
        return None, None, None
    from ..statistics.samples import Interval, on_unit_scale

    values = [float(one.outcome.value or 0.0) for one in valued]
    mean, low, high = mean_interval(values, [one.weight for one in valued], [one.cluster for one in valued])
    if on_unit_scale(values):
        low, high = Interval(low, high).within(0, 1)
    return mean, low, high


def _pass_rate(judged: Sequence[Scored]) -> tuple[float | None, float | None, float | None]:
    if not judged:
        return None, None, None
    from ..statistics import proportion_interval

    weights = [one.weight for one in judged]
    rate, *_ = mean_interval(
        [float(bool(one.outcome.passed)) for one in judged], weights, [one.cluster for one in judged]
    )
    # Kish's effective n: unequal weights are worth fewer draws.
    n = math.fsum(weights) ** 2 / math.fsum(weight**2 for weight in weights)
    interval = proportion_interval(rate * n, n)
    return rate, interval.low, interval.high
