"""Statistics that may be looked at after every value: bands, bets and charts that stay honest under continuous watching."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from .samples import Interval, Values, floats, open_unit, positive


class Cusum(msgspec.Struct, frozen=True):
    """Both one-sided sums after each value, and the index of the first value at which one exceeded the decision."""

    high: list[float]
    low: list[float]
    alarm: int | None


def confidence_sequence(mean: float, sd: float, n: float, alpha: float = 0.05, rho: float = 1.0) -> Interval:
    """A band around a running mean that holds at every n at once, so it may be watched without penalty.

    The asymptotic confidence sequence with Robbins' normal mixture; `rho` says at which n it is tightest:
    sqrt((-2 ln alpha + ln(1 - 2 ln alpha)) / n). n = 0 tells nothing: infinite.
    Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory" (2021), equation 3.
    Raises ValueError on NaN, a negative sd or n, an alpha outside (0, 1) or a rho of 0.
    """
    mean = float(floats([mean], "mean")[0])
    sd, n, rho = positive(sd, "sd", zero=True), positive(n, "n", zero=True), positive(rho, "rho")
    open_unit(alpha, "alpha")
    if n == 0:
        return Interval(-math.inf, math.inf)
    grown = n * rho**2 + 1
    radius = sd * math.sqrt(2 * grown / (n * rho) ** 2 * math.log(math.sqrt(grown) / alpha))
    return Interval(mean - radius, mean + radius)


def betting_capital(values: Values, null_mean: float, bet: float) -> list[float]:
    """The capital after each value of one who bets that values in [0, 1] have a mean below `null_mean`.

    prod (1 + bet * (null_mean - x)), starting from 1. While the mean is at least `null_mean` it is not expected to
    grow, so reaching 1/alpha is evidence at level alpha whenever one looks. A negative bet is on a higher mean.
    Source: Waudby-Smith and Ramdas, JRSS B 86 (2024).
    Raises ValueError on values or a null mean outside [0, 1], and on a bet that could lose more than everything.
    """
    x = floats(values, "values", least=0)
    if (x < 0).any() or (x > 1).any() or not 0 <= null_mean <= 1:
        raise ValueError("values and null_mean must lie in [0, 1]: scale scores by their range first")
    if not math.isfinite(bet) or 1 + min(bet * (null_mean - 1), bet * null_mean) < 0:
        raise ValueError(f"bet {bet} could lose more than everything: at most 1 / (1 - null_mean)")
    return [float(capital) for capital in np.cumprod(1 + bet * (null_mean - x))]


def cusum(values: Values, mean: float, allowance: float, decision: float) -> Cusum:
    """Page's two-sided cumulative sum around `mean`; alarms when a side exceeds `decision`, all in the values' unit.

    high = max(0, high + x - mean - allowance), low = max(0, low + mean - x - allowance).
    Source: Page, Biometrika 41 (1954); NIST/SEMATECH Handbook 6.3.2.3.
    Raises ValueError on NaN, a negative allowance or a decision that is not above 0.
    """
    x = floats(values, "values", least=0)
    mean = float(floats([mean], "mean")[0])
    allowance, decision = positive(allowance, "allowance", zero=True), positive(decision, "decision")
    high, low = [0.0], [0.0]
    for value in x.tolist():
        high.append(max(0.0, high[-1] + value - mean - allowance))
        low.append(max(0.0, low[-1] + mean - value - allowance))
    alarm = next((i for i, pair in enumerate(zip(high[1:], low[1:], strict=True)) if max(pair) > decision), None)
    return Cusum(high[1:], low[1:], alarm)
