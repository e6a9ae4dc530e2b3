"""Tests of a difference: two samples, pairs, paired verdicts; and the correction for making many of them."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from .distributions import chi_square_tail, student_cdf, student_quantile
from .samples import Floats, Interval, Values, floats, open_unit, same_length


class DifferenceTest(msgspec.Struct, frozen=True):
    """Welch's test; `difference` is mean(a) - mean(b), `p` two-sided, `interval` the 95 % one of the difference."""

    t: float
    p: float
    difference: float
    interval: Interval
    standard_error: float
    degrees_of_freedom: float


class PairedDifference(msgspec.Struct, frozen=True):
    """The mean of a - b over pairs, `p` two-sided against 0, `interval` at 95 %."""

    mean: float
    standard_error: float
    p: float
    interval: Interval


class McNemarTest(msgspec.Struct, frozen=True):
    """McNemar's test; `statistic` is the uncorrected chi-square with one degree of freedom, `p` two-sided."""

    statistic: float
    p: float


LARGEST_SQUARED = 1e150


def _scaled(test: DifferenceTest, unit: float) -> DifferenceTest:
    interval = Interval(test.interval.low * unit, test.interval.high * unit)
    return msgspec.structs.replace(
        test, difference=test.difference * unit, interval=interval, standard_error=test.standard_error * unit
    )


def welch_test(a: Values, b: Values) -> DifferenceTest:
    """Do two independent samples have the same mean? Unequal variances allowed.

    Where both samples are constant the t statistic does not exist; then p is that of the exact permutation test
    (2 of the C(n_a + n_b, n_a) arrangements are as extreme), t is infinite and the interval the difference itself.
    Source: Welch, Biometrika 34 (1947). Raises ValueError on NaN or fewer than two values on a side.
    """
    x, y = floats(a, "a", least=2), floats(b, "b", least=2)
    largest = max(float(np.abs(x).max()), float(np.abs(y).max()))
    if largest > LARGEST_SQUARED:
        # Their squares overflow: the same test on smaller units.
        return _scaled(welch_test(x / largest, y / largest), largest)
    difference = float(x.mean() - y.mean())
    va, vb = _variance(x) / x.size, _variance(y) / y.size
    standard_error = math.sqrt(va + vb)
    if standard_error == 0:
        difference = float(x[0] - y[0])
        p = min(1.0, 2 / math.comb(x.size + y.size, x.size)) if difference else 1.0
        t = math.copysign(math.inf, difference) if difference else 0.0
        return DifferenceTest(t, p, difference, Interval(difference, difference), 0.0, float(x.size + y.size - 2))
    df = (va + vb) ** 2 / (va**2 / (x.size - 1) + vb**2 / (y.size - 1))
    t = difference / standard_error
    half = student_quantile(df, 0.975) * standard_error
    interval = Interval(difference - half, difference + half)
    return DifferenceTest(t, 2 * student_cdf(df, -abs(t)), difference, interval, standard_error, df)


def paired_difference(a: Values, b: Values) -> PairedDifference:
    """Do two systems score differently on the same examples? Student's paired test on a - b.

    Where every pair differs by the same amount, p is that of the exact sign-flip test, 2^(1-n).
    Source: Student, Biometrika 6 (1908). Raises ValueError on NaN, unequal lengths or fewer than two pairs.
    """
    x, y = floats(a, "a", least=2), floats(b, "b", least=2)
    same_length(x, y, "a and b")
    d = x - y
    mean = float(d.mean())
    standard_error = math.sqrt(_variance(d) / d.size)
    if standard_error == 0:
        mean = float(d[0])
        return PairedDifference(mean, 0.0, 2.0 ** (1 - d.size) if mean else 1.0, Interval(mean, mean))
    df = d.size - 1
    half = student_quantile(df, 0.975) * standard_error
    p = 2 * student_cdf(df, -abs(mean / standard_error))
    return PairedDifference(mean, standard_error, p, Interval(mean - half, mean + half))


def mcnemar_test(b: int, c: int) -> McNemarTest:
    """Do two systems pass different examples? `b` passed only by the first, `c` only by the second.

    p is the exact binomial one below 25 discordant pairs and the chi-square one from there on.
    Source: McNemar, Psychometrika 12 (1947); Agresti, Categorical Data Analysis. Raises ValueError on negatives.
    """
    if b < 0 or c < 0 or int(b) != b or int(c) != c:
        raise ValueError(f"b and c are counts of examples, not {b} and {c}")
    b, c = int(b), int(c)
    n = b + c
    if n == 0:
        return McNemarTest(0.0, 1.0)
    statistic = (b - c) ** 2 / n
    if n < 25:
        return McNemarTest(statistic, min(1.0, 2 * sum(math.comb(n, k) for k in range(min(b, c) + 1)) / 2**n))
    return McNemarTest(statistic, chi_square_tail(statistic))


def benjamini_hochberg(p_values: Values, q: float) -> list[bool]:
    """Which hypotheses to reject so that at most a share `q` of the rejected is false; one bool per p-value.

    Source: Benjamini and Hochberg, JRSS B 57 (1995). Raises ValueError on NaN or values outside [0, 1].
    """
    p = floats(p_values, "p_values", least=0)
    open_unit(q, "q")
    if (p < 0).any() or (p > 1).any():
        raise ValueError("p_values must lie between 0 and 1")
    ordered = np.sort(p)
    below = np.flatnonzero(ordered <= q * np.arange(1, p.size + 1) / max(p.size, 1))
    if not below.size:
        return [False] * int(p.size)
    return [bool(value <= ordered[below[-1]]) for value in p]


def _variance(x: Floats) -> float:
    """The unbiased variance, exactly 0 for a constant: rounding in the mean must not pass for spread."""
    return 0.0 if float(np.ptp(x)) == 0 else float(x.var(ddof=1))
