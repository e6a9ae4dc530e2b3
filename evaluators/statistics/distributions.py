"""The few distributions that the statistics need: normal, Student's t, beta and noncentral t, and tests of two-by-two tables.

scipy has them too and weighs 143 MB, in every service and every CI job. The tests compare each function with scipy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_STANDARD = NormalDist()
_NEGLIGIBLE = 45.0  # exp(-45) is below the last digit of a double
_STEPS = 200  # of a search that at worst halves its range at each


def normal_cdf(z: float) -> float:
    """P(Z <= z), exact to the last digits in both tails."""
    return 0.5 * math.erfc(-z / math.sqrt(2))


def normal_quantile(p: float) -> float:
    """The z with P(Z <= z) = p, for p in (0, 1). Source: Wichura, Applied Statistics 37 (1988), AS 241."""
    return _STANDARD.inv_cdf(p)


def student_cdf(freedom: float, t: float) -> float:
    """P(T <= t) of Student's t; `freedom` is positive, not always whole, infinite for the normal distribution."""
    if math.isnan(t) or math.isnan(freedom):
        return math.nan
    if math.isinf(t):
        return 1.0 if t > 0 else 0.0
    if math.isinf(freedom):
        return normal_cdf(t)
    squared = t * t
    x, y = freedom / (freedom + squared), squared / (freedom + squared)
    tail = 0.5 * incomplete_beta(freedom / 2, 0.5, x, y)
    return tail if t < 0 else 1 - tail


@lru_cache(4096)
def student_quantile(freedom: float, p: float) -> float:
    """The t with P(T <= t) = p, for p in (0, 1)."""
    if p == 0.5:
        return 0.0
    if p < 0.5:
        return -student_quantile(freedom, 1 - p) if p > 1e-3 else -_upper_t(freedom, p)
    return _upper_t(freedom, 1 - p)


def _upper_t(freedom: float, tail: float) -> float:
    z = -normal_quantile(tail)
    if math.isinf(freedom):
        return z
    log_scale = -_log_beta(freedom / 2, 0.5) - 0.5 * math.log(freedom)

    def density(t: float) -> float:
        return math.exp(log_scale - (freedom + 1) / 2 * math.log1p(t * t / freedom))

    start = z + (z**3 + z) / (4 * freedom)  # the first term of Cornish and Fisher's expansion
    return _root(lambda t: tail - student_cdf(freedom, -t), density, start, 0.0, math.inf)


def beta_quantile(a: float, b: float, p: float) -> float:
    """The x with P(X <= x) = p of a beta distribution with positive parameters."""
    scale = -_log_beta(a, b)

    def density(x: float) -> float:
        return math.exp(scale + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x))

    return _root(lambda x: incomplete_beta(a, b, x, 1 - x) - p, density, a / (a + b), 0.0, 1.0)


def incomplete_beta(a: float, b: float, x: float, y: float) -> float:
    """The regularised incomplete beta function I_x(a, b); `y` is 1 - x, exact where that is small.

    Source: the continued fraction of Abramowitz and Stegun 26.5.8, evaluated by Lentz's method.
    """
    if x <= 0:
        return 0.0
    if y <= 0:
        return 1.0
    front = math.exp(a * math.log(x) + b * math.log(y) - _log_beta(a, b))
    if x * (a + b + 2) < a + 1:
        return front * _continued_fraction(a, b, x) / a
    return 1 - front * _continued_fraction(b, a, y) / b


def _continued_fraction(a: float, b: float, x: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or tiny)
    value = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / ((1 + term * d) or tiny)
            c = (1 + term / c) or tiny
            value *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return value


def _log_beta(a: float, b: float) -> float:
    """Ln B(a, b) without the cancellation of three large logarithms of the gamma function."""
    low, high = min(a, b), max(a, b)
    total = low + high
    if high < 10:
        return math.lgamma(low) + math.lgamma(high) - math.lgamma(total)
    correction = _stirling(high) - _stirling(total)
    share = math.log1p(-low / total)
    if low < 10:
        return math.lgamma(low) + correction + low - low * math.log(total) + (high - 0.5) * share
    halves = 0.5 * math.log(2 * math.pi) - 0.5 * math.log(high)
    return halves + _stirling(low) + correction + (low - 0.5) * math.log(low / total) + high * share


def _stirling(x: float) -> float:
    """Ln Gamma(x) less Stirling's approximation, for x of 10 or more. Source: Abramowitz and Stegun 6.1.41."""
    inverse = 1 / (x * x)
    series = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
    value = 0.0
    for term in reversed(series):
        value = value * inverse + term
    return value / x


def _root(
    excess: Callable[[float], float], slope: Callable[[float], float], start: float, low: float, high: float
) -> float:
    """Where a growing function is 0: Newton's method, and halving wherever that would leave what is known."""
    x = start
    for _ in range(_STEPS):
        value = excess(x)
        if value < 0:
            low = x
        else:
            high = x
        rise = slope(x)
        step = x - value / rise if rise > 0 else math.nan
        if not low < step < high:
            step = 2 * x if math.isinf(high) else (low + high) / 2
        if abs(step - x) <= 1e-15 * abs(x) or step in (low, high) or value == 0:
            return x if value == 0 else step
        x = step
    return x


def noncentral_t_missed(freedom: float, shift: float, critical: float) -> float:
    """P(-critical < T < critical) of the noncentral t: the chance that a two-sided test misses a true `shift`.

    T is (Z + shift) / S, so this is the mean over S of a difference of normal probabilities; the trapezoidal rule in
    ln S converges exponentially, as the integrand is analytic and dies out on both sides.
    """
    spread = _NEGLIGIBLE / freedom
    step = 1 / (2 * math.sqrt(2 * freedom + shift * shift + 20))
    u: NDArray[np.float64] = np.arange(-spread - math.sqrt(spread), min(math.sqrt(spread), 6.0), step)
    weights = np.exp(freedom * (u - np.expm1(2 * u) / 2))
    bound = critical * np.exp(u)
    missed = [normal_cdf(b - shift) - normal_cdf(-b - shift) for b in bound.tolist()]
    return float(weights @ np.array(missed) / weights.sum())


def fisher_exact_p(a: float, b: float, c: float, d: float) -> float:
    """Two-sided p of Fisher's exact test of the table ((a, b), (c, d)): all tables that are no likelier than this one."""
    a, b, c, d = (round(one) for one in (a, b, c, d))
    low, high = max(0, a - d), min(a + b, a + c)
    k = np.arange(low, high, dtype=float)
    ratios = np.log((a + b - k) * (a + c - k)) - np.log((k + 1) * (d - a + k + 1))
    logs = np.concatenate([[0.0], np.cumsum(ratios)])
    likely = np.exp(logs - logs.max())
    return min(1.0, float(likely[likely <= likely[a - low] * (1 + 1e-7)].sum() / likely.sum()))


def chi_square_p(a: float, b: float, c: float, d: float) -> float:
    """P of the chi-square test of the table ((a, b), (c, d)) with Yates's correction. Raises ValueError for an empty margin."""
    n, product = a + b + c + d, (a + b) * (c + d) * (a + c) * (b + d)
    if product <= 0:
        raise ValueError("a row or column of the table is empty: there is nothing to compare")
    apart = max(0.0, abs(a * d - b * c) - n / 2)
    return chi_square_tail(n * apart * apart / product)


def chi_square_tail(statistic: float) -> float:
    """P(X > statistic) of a chi-square with one degree of freedom."""
    return math.erfc(math.sqrt(statistic / 2))
