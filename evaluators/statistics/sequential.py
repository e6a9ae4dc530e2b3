"""Statistics that may be looked at after every window: bands and alarms that stay honest under continuous watching."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from .samples import Floats, Interval, Values, floats, open_unit, positive, same_length

# Bets per standard error of a window mean: from patient (small, lasting shifts) to bold (large, sudden ones).
BETS = (0.25, 0.5, 1.0, 2.0)
# Evidence is capped here, so that it stays a finite number in JSON and SQL.
CAP = 1e100


class EDetector(msgspec.Struct, frozen=True):
    """The evidence after each window, the threshold it must reach, and the index of the first window that did."""

    statistic: list[float]
    threshold: float
    alarm: int | None


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


def e_detector(
    means: Values,
    standard_errors: Values,
    baseline_mean: float,
    *,
    alpha: float = 0.05,
    horizon: int = 100,
    direction: str = "decrease",
) -> EDetector:
    """Has the mean left its baseline? The Shiryaev-Roberts e-detector over window means, one look per window.

    Each window pays exp(l z - l^2 / 2) on its standardised distance z from the baseline, mixed over a fixed set of
    bets l; M = (1 + M) * payoff. Without a change M - k is no more than a fair game, so an alarm at
    M >= horizon / alpha comes within `horizon` windows with probability at most `alpha` (asymptotically in the size
    of the windows). The baseline mean is taken as known: where it was estimated, pass its lower confidence bound and
    the rest of alpha. A window whose standard error is 0 (few or constant scores) borrows the largest seen before it.
    `direction` is "decrease", "increase" or "both" (half of the evidence each).
    Source: Shin, Ramdas, Rinaldo, "E-detectors" (2022).
    Raises ValueError on NaN, unequal lengths, negative standard errors, or an impossible alpha, horizon or direction.
    """
    m = floats(means, "means", least=0)
    se = floats(standard_errors, "standard_errors", least=0)
    same_length(m, se, "means and standard_errors")
    if (se < 0).any():
        raise ValueError("standard_errors must not be negative")
    baseline = float(floats([baseline_mean], "baseline_mean")[0])
    threshold = positive(horizon, "horizon") / open_unit(alpha, "alpha")
    signs = {"decrease": (1.0,), "increase": (-1.0,), "both": (1.0, -1.0)}.get(direction)
    if signs is None:
        raise ValueError(f'direction must be "decrease", "increase" or "both", not {direction!r}')
    z = _standardised(baseline - m, se)
    bets = np.array([sign * bet for sign in signs for bet in BETS])
    evidence = np.zeros(bets.size)
    statistic: list[float] = []
    for distance in z:
        payoff = np.minimum(np.exp(np.minimum(bets * distance - bets**2 / 2, 500)), CAP)
        evidence = np.minimum((1 + evidence) * payoff, CAP)
        statistic.append(float(evidence.mean()))
    return EDetector(statistic, threshold, _first(statistic, threshold))


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


def _standardised(distances: Floats, standard_errors: Floats) -> list[float]:
    """Distances in standard errors; without any spread seen so far a distance is as good as infinite."""
    largest, z = 0.0, []
    for distance, error in zip(distances.tolist(), standard_errors.tolist(), strict=True):
        largest = max(largest, error)
        spread = error or largest
        z.append(distance / spread if spread else math.copysign(CAP, distance) if distance else 0.0)
    return z


def _first(statistic: list[float], threshold: float) -> int | None:
    return next((i for i, value in enumerate(statistic) if value >= threshold), None)
