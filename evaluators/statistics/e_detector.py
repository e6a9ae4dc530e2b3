"""The e-detector: has a mean left its baseline? Valid however often it is looked at, also with an estimated baseline."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from .samples import Floats, Values, floats, open_unit, positive, same_length

# Bets per standard error of a window mean: from patient (small, lasting shifts) to bold (large, sudden ones).
BETS = (0.25, 0.5, 1.0, 2.0)
# How much of the capital is on each: most where a shift is found within days, little where only months would show it.
STAKES = (0.1, 0.3, 0.4, 0.2)
# Evidence is capped here, so that it stays a finite number in JSON and SQL.
CAP = 1e100
# Change points farther back than this are no longer considered; leaving them out only makes an alarm later.
REACH = 200


class EDetector(msgspec.Struct, frozen=True):
    """The evidence after each window, the threshold it must reach, and the index of the first window that did."""

    statistic: list[float]
    threshold: float
    alarm: int | None


def e_detector(
    means: Values,
    standard_errors: Values,
    baseline_mean: float,
    *,
    alpha: float = 0.05,
    horizon: int = 100,
    direction: str = "decrease",
    baseline_error: float = 0.0,
    shift_unit: float | None = None,
    third_moments: Values | None = None,
    baseline_third_moment: float = 0.0,
    calibrated: bool = False,
    baseline_n: float = math.inf,
) -> EDetector:
    """Has the mean left its baseline? The Shiryaev-Roberts e-detector over window means, one look per window.

    Each window pays exp(l z - l^2 / 2) on its standardised distance z from the baseline, mixed over a fixed set of
    bets l; M = (1 + M) * payoff. Without a change M - k is no more than a fair game, so an alarm at
    M >= horizon / alpha comes within `horizon` windows with probability at most `alpha` (asymptotically in the size
    of the windows).

    With the standard error of an estimated baseline mean, `baseline_error`, each possible change point compares the
    windows since then with baseline and windows before it, so the unknown mean drops out and M is a fair game again. The
    bets are then on one shift of all windows, in units of `shift_unit` (the standard error of a typical window; the
    median when left out). `third_moments` of the window means take skewness out by Wilson and Hilferty's cube root.
    `calibrated` lowers the threshold by what the bound is too careful, found by simulation for up to a thousand windows
    (benchmarks/detection/calibrate.py); it asks for pooled standard errors. `baseline_n`, how many equally weighted scores
    the baseline holds, raises it where they are few: how skewed scores are is hardly known then.

    A window whose standard error is 0 (few or constant scores) borrows the largest seen before it. `direction` is
    "decrease", "increase" or "both" (half of the evidence each).
    Source: Shin, Ramdas, Rinaldo, "E-detectors" (2022); Wilson and Hilferty (1931).
    Raises ValueError on NaN, unequal lengths, negative standard errors, or an impossible alpha, horizon or direction.
    """
    m = floats(means, "means", least=0)
    se = floats(standard_errors, "standard_errors", least=0)
    same_length(m, se, "means and standard_errors")
    if (se < 0).any():
        raise ValueError("standard_errors must not be negative")
    baseline = float(floats([baseline_mean], "baseline_mean")[0])
    error = positive(baseline_error, "baseline_error", zero=True)
    threshold = positive(horizon, "horizon") / open_unit(alpha, "alpha")
    if calibrated:
        threshold *= math.exp(shortage(baseline_n) - slack(horizon, alpha))
    signs = {"decrease": (1.0,), "increase": (-1.0,), "both": (1.0, -1.0)}.get(direction)
    if signs is None:
        raise ValueError(f'direction must be "decrease", "increase" or "both", not {direction!r}')
    if error == 0 and shift_unit is None:
        sides = [_known_baseline(sign * (baseline - m), se) for sign in signs]
    else:
        moments = np.zeros(m.size) if third_moments is None else floats(third_moments, "third_moments", least=0)
        same_length(m, moments, "means and third_moments")
        borrowed = _borrowed(se)
        unit = float(np.median(borrowed)) if shift_unit is None and m.size else shift_unit or 1.0
        base = (baseline, error, baseline_third_moment)
        sides = [_change_points(m, borrowed, moments, base, unit, sign) for sign in signs]
    statistic = [float(value) for value in np.mean(sides, axis=0)] if m.size else []
    return EDetector(statistic, threshold, next((i for i, v in enumerate(statistic) if v >= threshold), None))


def slack(horizon: float, alpha: float) -> float:
    """By how much the threshold horizon / alpha is too careful, in logarithms: overshoot and the late start of bets.

    The largest that holds for 2 to 60 baseline windows, known baselines and 1 to 300 windows in the simulation of
    benchmarks/detection/calibrate.py, rounded down.
    """
    return max(0.5, 2 - 0.27 * math.log(horizon)) * (1.0 if alpha <= 0.05 else 0.7)


def shortage(baseline_n: float) -> float:
    """By how much few scores in the baseline raise the threshold, in logarithms: 0 from 150 scores on.

    Without it nine in ten perfect scores and the like raise 8 to 10 % false alarms within 100 windows on 35 to 40 scores,
    found by simulation (benchmarks/detection).
    """
    return max(0.0, 1.5 - baseline_n / 100)


def _known_baseline(distances: Floats, standard_errors: Floats) -> Floats:
    """The recursion M = (1 + M) * payoff, mixed over the bets."""
    bets = np.array(BETS)
    evidence = np.zeros(bets.size)
    statistic = []
    for distance in _standardised(distances, standard_errors):
        payoff = np.minimum(np.exp(np.minimum(bets * distance - bets**2 / 2, 500)), CAP)
        evidence = np.minimum((1 + evidence) * payoff, CAP)
        statistic.append(float(evidence @ np.array(STAKES)))
    return np.array(statistic)


def _change_points(
    m: Floats, se: Floats, moments: Floats, base: tuple[float, float, float], unit: float, sign: float
) -> Floats:
    """The sum over all change points of what the bets on them have paid, after each window."""
    mean, error, base_moment = base
    p, base_p = 1 / se**2, (1 / error**2 if error else math.inf)
    precision, weighted, cubes = (np.concatenate([[0.0], np.cumsum(x)]) for x in (p, p * m, p**3 * moments))
    bets = np.array(BETS)[:, None]
    statistic = []
    for t in range(1, m.size + 1):
        j = np.arange(max(0, t - REACH), t)
        post = precision[t] - precision[j]
        after, after_moment = (weighted[t] - weighted[j]) / post, (cubes[t] - cubes[j]) / post**3
        if error:
            pre = base_p + precision[j]
            before, moment = (base_p * mean + weighted[j]) / pre, (base_p**3 * base_moment + cubes[j]) / pre**3
            variance = 1 / pre + 1 / post
        else:
            before, moment, variance = np.full(j.size, mean), np.zeros(j.size), 1 / post
        z = _normal_score(sign * (before - after) / np.sqrt(variance), sign * (moment - after_moment) / variance**1.5)
        size = unit / np.sqrt(variance)
        exponent = np.minimum(bets * size * z - (bets * size) ** 2 / 2, 500)
        statistic.append(min(CAP, float((np.array(STAKES) @ np.exp(exponent)).sum())))
    return np.array(statistic)


def _normal_score(z: Floats, skewness: Floats) -> Floats:
    """Standardised values of a Pearson III distribution as normal scores; skewness away from the watched side is left alone."""
    g = np.where(skewness < 1e-6, 1.0, skewness)
    score = 6 / g * (np.cbrt(np.maximum(g / 2 * z + 1, 0)) - 1) + g / 6
    return np.where(skewness < 1e-6, z, score)


def _standardised(distances: Floats, standard_errors: Floats) -> list[float]:
    """Distances in standard errors; without any spread seen so far a distance is as good as infinite."""
    largest, z = 0.0, []
    for distance, error in zip(distances.tolist(), standard_errors.tolist(), strict=True):
        largest = max(largest, error)
        spread = error or largest
        z.append(distance / spread if spread else math.copysign(CAP, distance) if distance else 0.0)
    return z


def _borrowed(standard_errors: Floats) -> Floats:
    """Errors of 0 replaced by the largest before them, or by the smallest positive one there is."""
    largest = np.maximum.accumulate(standard_errors) if standard_errors.size else standard_errors
    known = standard_errors[standard_errors > 0]
    filled = np.where(standard_errors > 0, standard_errors, largest)
    return np.where(filled > 0, filled, known.min() if known.size else 1e-9)
