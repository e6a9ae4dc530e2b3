"""Means and rates with honest intervals: under unequal sampling, for few successes, in clusters, with a judge's help."""

from __future__ import annotations

import math
from collections.abc import Hashable

import msgspec
import numpy as np

from .distributions import beta_quantile, normal_quantile
from .samples import Interval, Ratings, Values, floats, open_unit, same_length

Z95 = normal_quantile(0.975)


class WeightedMean(msgspec.Struct, frozen=True):
    """A mean of sampled values; `effective_n` is how many equally likely draws it is worth."""

    mean: float
    standard_error: float
    interval: Interval
    n: int
    effective_n: float


class PredictionPoweredMean(msgspec.Struct, frozen=True):
    """A mean of human labels, sharpened by a judge; `tuning` 0 ignores the judge, 1 trusts it fully."""

    mean: float
    standard_error: float
    interval: Interval
    tuning: float


def weighted_mean(values: Values, probabilities: Values) -> WeightedMean:
    """The mean of everything, from values that were each kept with a known probability in (0, 1].

    Hajek's estimator with its linearised design-based standard error and a 95 % normal interval; the effective n is
    Kish's. Values kept with probability 1 add no sampling error, so a complete record has standard error 0. A single
    sampled value says nothing about the spread: its standard error is infinite.
    Source: Sarndal, Swensson, Wretman, Model Assisted Survey Sampling (1992), 5.7; Kish, Survey Sampling (1965).
    Raises ValueError on empty input, NaN, unequal lengths or a probability outside (0, 1].
    """
    y = floats(values, "values")
    p = floats(probabilities, "probabilities")
    same_length(y, p, "values and probabilities")
    if (p <= 0).any() or (p > 1).any():
        raise ValueError("probabilities must lie in (0, 1]: what can never be drawn cannot be estimated")
    # Weights relative to the largest, values to the largest: neither overflows, and nothing else depends on the scale.
    w = p.min() / p
    scale = float(np.abs(y).max()) or 1.0
    y = y / scale
    total = float(w.sum())
    centre = float((w * y).sum() / total)
    mean = centre * scale
    effective_n = float(total**2 / (w**2).sum())
    if y.size == 1 and p[0] < 1:
        return WeightedMean(mean, math.inf, Interval(-math.inf, math.inf), 1, 1.0)
    standard_error = math.sqrt(float(((1 - p) * (w * (y - centre)) ** 2).sum())) / total * scale
    half = Z95 * standard_error
    return WeightedMean(mean, standard_error, Interval(mean - half, mean + half), int(y.size), effective_n)


def proportion_interval(successes: float, n: float, confidence: float = 0.95, method: str = "wilson") -> Interval:
    """An interval for a rate from `successes` out of `n`; both may be fractional (effective counts of weighted data).

    "wilson" is close to nominal on average, "clopper-pearson" is never below nominal. n = 0 tells nothing: (0, 1).
    Source: Wilson (1927); Clopper and Pearson (1934); compared by Newcombe, Statistics in Medicine 17 (1998).
    Raises ValueError on counts that cannot be, a confidence outside (0, 1) or an unknown method.
    """
    open_unit(confidence, "confidence")
    if not (math.isfinite(n) and 0 <= successes <= n):
        raise ValueError(f"successes must lie between 0 and n, not {successes} of {n}")
    k, n, tail = float(successes), float(n), (1 - confidence) / 2
    if method == "clopper-pearson":
        low = beta_quantile(k, n - k + 1, tail) if k > 0 else 0.0
        high = beta_quantile(k + 1, n - k, 1 - tail) if k < n else 1.0
        return Interval(low, high)
    if method != "wilson":
        raise ValueError(f'method must be "wilson" or "clopper-pearson", not {method!r}')
    if n == 0:
        return Interval(0.0, 1.0)
    z = -normal_quantile(tail)
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    # The exact ends at 0 and n, which rounding would miss by an ulp.
    return Interval(0.0 if k == 0 else max(0.0, centre - half), 1.0 if k == n else min(1.0, centre + half))


def clustered_standard_error(values: Values, clusters: Ratings) -> float:
    """The standard error of the mean when values of one cluster (turns, answers to one question) move together.

    sqrt(sum over clusters of (sum of deviations)^2) / n, without small-sample correction.
    Source: Miller, "Adding Error Bars to Evals" (2024), equation 4.
    Raises ValueError on empty input, NaN, unequal lengths, or a single cluster: nothing shows how clusters differ.
    """
    x = floats(values, "values")
    labels = list(clusters)
    same_length(x, labels, "values and clusters")
    number: dict[Hashable, int] = {}
    index = [number.setdefault(label, len(number)) for label in labels]
    if len(number) < 2:
        raise ValueError("all values are of one cluster: at least two are needed for a standard error")
    sums = np.bincount(index, weights=x - x.mean())
    return math.sqrt(float((sums**2).sum())) / int(x.size)


def prediction_powered_mean(
    labels: Values, judge_on_labeled: Values, judge_on_unlabeled: Values
) -> PredictionPoweredMean:
    """The mean that people would give everything, from few human labels and many judge scores.

    PPI++: tuning * mean(judge, unlabelled) + mean(label - tuning * judge, labelled), the tuning chosen to minimise
    the variance and clipped to [0, 1]; 95 % normal interval. The labelled items must be a random subset. The tuning
    is estimated from the labels, so below 40 of them the interval covers a little less than it says (92 % at 20).
    Source: Angelopoulos, Duchi, Zrnic, "PPI++" (2023).
    Raises ValueError on NaN, fewer than 2 labels or 2 unlabelled scores, or unequal lengths.
    """
    y = floats(labels, "labels", least=2)
    f = floats(judge_on_labeled, "judge_on_labeled", least=2)
    u = floats(judge_on_unlabeled, "judge_on_unlabeled", least=2)
    same_length(y, f, "labels and judge_on_labeled")
    n, many = int(y.size), int(u.size)
    spread = float(np.concatenate([f, u]).var(ddof=1))
    covariance = float(np.cov(y, f, ddof=1)[0, 1])
    tuning = min(1.0, max(0.0, covariance / ((1 + n / many) * spread))) if spread > 0 else 0.0
    rectifier = y - tuning * f
    mean = tuning * float(u.mean()) + float(rectifier.mean())
    variance = tuning**2 * float(u.var(ddof=1)) / many + float(rectifier.var(ddof=1)) / n
    half = Z95 * math.sqrt(variance)
    return PredictionPoweredMean(mean, math.sqrt(variance), Interval(mean - half, mean + half), tuning)
