"""Compares two runs over the same cases: paired differences with intervals, flips, and what could not be detected.

Cases are the unit: repeats are averaged within a case first, cases of one cluster share their error, and cases drawn
from traffic count with their sampling weight.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from ..statistics import (
    Interval,
    benjamini_hochberg,
    clustered_standard_error,
    mcnemar_test,
    paired_difference,
    weighted_mean,
)
from ..statistics.distributions import student_cdf, student_quantile
from ..statistics.samples import on_unit_scale
from ..statistics.sign_flip import sign_flip_test
from .record import CaseResult, Experiment, Metric

MIN_PAIRS = 10
ALPHA = 0.05  # of each one-sided claim
POWER_QUANTILE = 0.8416  # standard normal, power 80 %
OVERALL = "pass rate"
MARGINS = {"pass rate": 0.05, "unit": 0.05, "judge": 0.3}

Conclusion = Literal["regression", "improvement", "no_change", "trivial", "inconclusive"]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One metric, candidate minus baseline in its own unit; `worse` and the margin are seen in its direction."""

    metric: str
    n: int
    baseline_mean: float
    candidate_mean: float
    difference: float
    interval: tuple[float, float]
    """Two-sided at 90 %: each end is a one-sided bound at 95 %."""
    margin: float | None
    """None: no margin is known for this scale, so the metric does not decide."""
    p_worse: float
    mcnemar_p: float | None
    """Two-sided, of verdicts; by clusters and weights where the cases have them."""
    worse_cases: list[str]
    better_cases: list[str]
    minimum_detectable_effect: float
    """The drop that this many cases would have found in four of five runs."""
    cases_needed: int | None
    """How many cases would settle an inconclusive comparison, if the spread stays."""
    conclusion: Conclusion
    reason: str


class Pair(msgspec.Struct, frozen=True):
    """One case in both runs, repeats averaged."""

    example_id: str
    baseline: float
    candidate: float
    weight: float
    cluster: str


def compare_runs(
    baseline: Sequence[CaseResult],
    candidate: Sequence[CaseResult],
    suite: Sequence[Metric],
    margins: Mapping[str, float] | None = None,
) -> list[Comparison]:
    """The pass rate and every metric of the suite over the cases that both runs hold.

    A regression is claimed only when it survives Benjamini-Hochberg over all metrics. That a drop of the margin is
    excluded needs no correction: every metric has to show it (intersection-union).
    """
    found = [_compare_pass_rate(baseline, candidate, margins or {})]
    found += [_compare_metric(metric, baseline, candidate, margins or {}) for metric in suite]
    measured = [one for one in found if one is not None]
    significant = benjamini_hochberg([one.p_worse for one in measured], ALPHA) if measured else []
    return [_conclude(one, worse) for one, worse in zip(measured, significant, strict=True)]


def paired_by_cluster(a: Sequence[float], b: Sequence[float], clusters: Sequence[str]) -> tuple[float, Interval, float]:
    """Mean of a - b over pairs, its 95 % interval and the two-sided p; pairs of one cluster share their error.

    With a single cluster nothing is known of how clusters differ: the interval is infinite, p is 1.
    """
    if len(set(clusters)) == len(clusters):
        plain = paired_difference(a, b)
        mean, interval, p = plain.mean, plain.interval, plain.p
    else:
        drops = [x - y for x, y in zip(a, b, strict=True)]
        groups = len(set(clusters))
        mean = math.fsum(drops) / len(drops)
        error = clustered_standard_error(drops, clusters) if groups > 1 else math.inf
        half = student_quantile(max(groups - 1, 1), 0.975) * error
        interval = Interval(mean - half, mean + half)
        flipped = 2.0 ** (1 - groups) if mean else 1.0
        p = flipped if error == 0 else 2 * student_cdf(max(groups - 1, 1), -abs(mean / error))
    return mean, Interval(*interval.within(-1, 1)) if on_unit_scale([*a, *b]) else interval, p


def stale_reasons(baseline: Experiment, candidate: Experiment) -> list[str]:
    """Why the two cannot be compared: a case was edited, or an evaluator changed, between the runs (J14)."""
    reasons = []
    was = {one.example_id: one.content_hash for one in baseline.results}
    edited = {
        one.example_id for one in candidate.results if was.get(one.example_id, one.content_hash) != one.content_hash
    }
    if edited:
        reasons.append(f"{len(edited)} cases were edited since the baseline ran, for example {min(edited)!r}")
    versions = {metric.name: (metric.version, metric.threshold, metric.direction) for metric in baseline.suite}
    for metric in candidate.suite:
        if metric.name not in versions:
            reasons.append(f"the baseline has no scores of {metric.name}")
        elif versions[metric.name] != (metric.version, metric.threshold, metric.direction):
            reasons.append(f"{metric.name} changed since the baseline ran: its old and new scores are not comparable")
    return reasons


def _compare_pass_rate(
    baseline: Sequence[CaseResult], candidate: Sequence[CaseResult], margins: Mapping[str, float]
) -> Comparison | None:
    def passed(result: CaseResult) -> float | None:
        return None if result.passed is None else float(result.passed)

    old, new = _by_case(baseline, passed), _by_case(candidate, passed)
    return _measure(OVERALL, _pairs(old, new, candidate), margins.get(OVERALL, MARGINS[OVERALL]), higher=True)


def _compare_metric(
    metric: Metric, baseline: Sequence[CaseResult], candidate: Sequence[CaseResult], margins: Mapping[str, float]
) -> Comparison | None:
    def value(result: CaseResult) -> float | None:
        outcome = result.metric(metric.name)
        return outcome.value if outcome else None

    pairs = _pairs(_by_case(baseline, value), _by_case(candidate, value), candidate)
    unit = on_unit_scale(side for pair in pairs for side in (pair.baseline, pair.candidate))
    default = MARGINS["unit"] if unit else MARGINS["judge"] if metric.kind == "judge" else None
    return _measure(metric.name, pairs, margins.get(metric.name, default), higher=metric.direction != "lower")


def _by_case(results: Sequence[CaseResult], value: object) -> dict[str, float]:
    """The mean over repeats; a case with an unmeasured repeat is not measured."""
    values: dict[str, list[float | None]] = defaultdict(list)
    for result in results:
        values[result.example_id].append(value(result))  # type: ignore[operator]
    return {
        name: sum(item for item in items if item is not None) / len(items)
        for name, items in values.items()
        if None not in items
    }


def _pairs(old: Mapping[str, float], new: Mapping[str, float], results: Sequence[CaseResult]) -> list[Pair]:
    first = {one.example_id: one for one in reversed(results)}
    shared = [name for name in new if name in old]
    return [Pair(name, old[name], new[name], first[name].weight, first[name].cluster) for name in shared]


def _measure(metric: str, pairs: list[Pair], margin: float | None, *, higher: bool) -> Comparison | None:
    if len(pairs) < 2:
        return None
    sign = 1.0 if higher else -1.0
    drops = [sign * (pair.candidate - pair.baseline) for pair in pairs]
    binary = all(value in (0.0, 1.0) for pair in pairs for value in (pair.baseline, pair.candidate))
    mean, error, freedom = _estimate(pairs, drops, binary=binary)
    half = student_quantile(freedom, 1 - ALPHA) * error
    bound = 1.0 if on_unit_scale(side for pair in pairs for side in (pair.baseline, pair.candidate)) else math.inf
    low, high = Interval(mean - half, mean + half).within(-bound, bound)
    worse = [pair.example_id for pair, drop in zip(pairs, drops, strict=True) if drop < 0]
    better = [pair.example_id for pair, drop in zip(pairs, drops, strict=True) if drop > 0]
    exact = _exact_p(pairs, drops) if binary else None
    detectable = (student_quantile(freedom, 1 - ALPHA) + POWER_QUANTILE) * error
    needed = math.ceil(len(pairs) * (detectable / margin) ** 2) if margin and low <= -margin < high else None
    return Comparison(
        metric=metric,
        n=len(pairs),
        baseline_mean=_mean(pairs, [pair.baseline for pair in pairs]),
        candidate_mean=_mean(pairs, [pair.candidate for pair in pairs]),
        difference=sign * mean,
        interval=(low, high) if higher else (-high, -low),
        margin=margin,
        p_worse=exact[0] if exact else _p_worse(mean, error, freedom, len(set(_clusters(pairs)))),
        mcnemar_p=exact[1] if exact else None,
        worse_cases=worse,
        better_cases=better,
        minimum_detectable_effect=detectable,
        cases_needed=needed,
        conclusion=_conclusion(low, high, margin, len(pairs)),
        reason="",
    )


def _estimate(pairs: list[Pair], drops: list[float], *, binary: bool) -> tuple[float, float, float]:
    """Mean, standard error and degrees of freedom of the paired differences.

    Verdicts (-1, 0, 1) get the adjusted Wald error of Bonett and Price, J. Educational and Behavioral Statistics 37
    (2012): without it, no flip among five cases would look like certainty.
    """
    n = len(drops)
    weights, clusters = [pair.weight for pair in pairs], _clusters(pairs)
    groups = len(set(clusters))
    mean, size = sum(drops) / n, float(n)
    if max(weights) > min(weights):
        weighted = weighted_mean(drops, [min(weights) / weight for weight in weights])
        mean, error, size = weighted.mean, weighted.standard_error, weighted.effective_n
        if groups < n:
            size = min(size, float(groups))
            # Linearised: the weighted deviations stand for the values, so a cluster's move together.
            scale = n / sum(weights)
            moved = [scale * weight * (drop - mean) for weight, drop in zip(weights, drops, strict=True)]
            error = clustered_standard_error(moved, clusters) if groups > 1 else math.inf
    elif groups < n:
        size = float(groups)
        error = clustered_standard_error(drops, clusters) if groups > 1 else math.inf
    else:
        spread = sum((drop - mean) ** 2 for drop in drops) / (n - 1)
        error = math.sqrt(spread / n)
    if max(drops) == min(drops) and not math.isinf(error):
        mean, error = drops[0], 0.0  # rounding must not pass for spread
    if binary:
        worse, better = (drops.count(-1.0) + 1) / (n + 2), (drops.count(1.0) + 1) / (n + 2)
        adjusted = math.sqrt((worse + better - (better - worse) ** 2) / (size + 2))
        error = max(error, adjusted)
    return mean, error, max(size - 1, 1.0)


def _clusters(pairs: list[Pair]) -> list[str]:
    """The cluster of each case; a case without one is its own."""
    return [pair.cluster or f"\x00{pair.example_id}" for pair in pairs]


def _exact_p(pairs: list[Pair], drops: list[float]) -> tuple[float, float]:
    """(one-sided p of "the candidate is not worse", two-sided p) of verdicts: McNemar's test, by clusters and weights."""
    clusters, weights = _clusters(pairs), [pair.weight for pair in pairs]
    if len(set(clusters)) == len(pairs) and max(weights) == min(weights):
        better, worse = drops.count(1.0), drops.count(-1.0)
        two_sided = mcnemar_test(better, worse).p
        return (two_sided / 2 if worse > better else 1 - two_sided / 2 if worse < better else 1.0), two_sided
    weighted = [weight / max(weights) * drop for weight, drop in zip(weights, drops, strict=True)]
    below, above = (sign_flip_test([sign * one for one in weighted], clusters) for sign in (1.0, -1.0))
    return below, min(1.0, 2 * min(below, above))


def _p_worse(mean: float, error: float, freedom: float, groups: int) -> float:
    """One-sided p of "the candidate is not worse"; the sign-flip test for a constant drop."""
    if error == 0:
        return 2.0**-groups if mean < 0 else 1.0
    return student_cdf(freedom, mean / error)


def _conclusion(low: float, high: float, margin: float | None, n: int) -> Conclusion:
    if margin is None or n < MIN_PAIRS:
        return "inconclusive"
    if low > 0:
        return "improvement"
    if low > -margin:
        return "trivial" if high < 0 else "no_change"
    return "regression" if high < 0 else "inconclusive"


def _conclude(one: Comparison, significant: bool) -> Comparison:
    conclusion: Conclusion = one.conclusion
    if conclusion == "regression" and not significant:
        conclusion = "inconclusive"
    sample = f"{one.n} pairs"
    reasons = {
        "regression": f"worse, and a drop of more than {one.margin or 0:g} is not excluded",
        "improvement": "better",
        "trivial": f"worse, but by less than {one.margin or 0:g}",
        "no_change": f"a drop of {one.margin or 0:g} is excluded",
    }
    reason = reasons.get(conclusion, "")
    if conclusion == "inconclusive":
        if one.n < MIN_PAIRS:
            reason = f"too thin: {sample}, at least {MIN_PAIRS} are needed"
        elif one.margin is None:
            reason = "no margin is known for this scale"
        else:
            need = f" (about {one.cases_needed} cases would)" if one.cases_needed else ""
            reason = f"{sample} neither show nor exclude a drop of {one.margin:g}{need}"
    return msgspec.structs.replace(one, conclusion=conclusion, reason=reason)


def _mean(pairs: list[Pair], values: list[float]) -> float:
    total = sum(pair.weight for pair in pairs)
    return sum(pair.weight * value for pair, value in zip(pairs, values, strict=True)) / total
