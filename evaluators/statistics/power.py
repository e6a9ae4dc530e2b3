"""What can be seen with so many samples: the arithmetic behind "inconclusive"."""

from __future__ import annotations

import math
from collections.abc import Callable

from .distributions import noncentral_t_missed, student_quantile
from .samples import open_unit, positive


def required_sample_size(effect: float, sd: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Samples per side for a two-sided t test of two independent means to find `effect`, in the unit of `sd`.

    Exact by the noncentral t distribution; a fraction, round up. At least 2 (a spread of 0 needs no more).
    Source: Cohen, Statistical Power Analysis (1988). Raises ValueError on an effect of 0: no sample is enough.
    """
    effect, sd = abs(effect), positive(sd, "sd", zero=True)
    positive(effect, "effect")
    _levels(alpha, power)
    if sd == 0 or _power(2.0, effect / sd, alpha) >= power:
        return 2.0
    return _solve(lambda n: _power(n, effect / sd, alpha) - power, 2.0)


def minimum_detectable_effect(n: float, sd: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest difference of two means that `n` samples per side find with `power`, in the unit of `sd`.

    The inverse of `required_sample_size`. Below two samples per side nothing can be found: infinite.
    Raises ValueError on a negative n or sd, or levels outside (0, 1).
    """
    n, sd = positive(n, "n", zero=True), positive(sd, "sd", zero=True)
    _levels(alpha, power)
    if n < 2:
        return math.inf
    return sd * _solve(lambda effect: _power(n, effect, alpha) - power, 1e-9) if sd else 0.0


def _levels(alpha: float, power: float) -> None:
    open_unit(alpha, "alpha")
    open_unit(power, "power")
    if power <= alpha:
        raise ValueError(f"power {power} must be above alpha {alpha}: chance alone gives that much")


def _power(n: float, effect: float, alpha: float) -> float:
    """The chance that the two-sided t test with n per side sees a standardised effect."""
    df = 2 * n - 2
    critical = student_quantile(df, 1 - alpha / 2)
    shift = effect * math.sqrt(n / 2)
    return 1 - noncentral_t_missed(df, shift, critical)


def _solve(excess: Callable[[float], float], low: float) -> float:
    """The root of a growing function above `low`."""
    high = max(2 * low, 1.0)
    while excess(high) < 0:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return high
