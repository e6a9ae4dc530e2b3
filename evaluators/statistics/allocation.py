"""Where judge calls tell most: Neyman's allocation over strata with floors, and means assisted by what is known of all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from .distributions import student_quantile
from .estimates import Z95
from .samples import Interval, Values, floats, same_length

SHRINK_BY = 20
"""The pooled variance counts as so many scores in every stratum: a few equal ones do not make a variance of zero."""
FIRST_VARIANCE = 0.25
"""Where nothing was scored yet: the largest variance of a value in [0, 1]."""


class Stratum(msgspec.Struct, frozen=True):
    """A part of the traffic, and what its scores so far say."""

    size: float
    """Calls a day, counted with their sampling weights."""
    n: float = 0.0
    """Scores that the variance rests on; recent ones count more."""
    variance: float = 0.0
    """Of the scores within the stratum."""


class AssistedMean(msgspec.Struct, frozen=True):
    """A mean of sampled scores, sharpened by a prediction that is known for every call."""

    mean: float
    standard_error: float
    interval: Interval
    n: int


def pooled_variance(strata: Mapping[str, Stratum]) -> float:
    """The variance within strata over all scores; the largest possible one where there is none."""
    n = sum(one.n for one in strata.values())
    return sum(one.n * one.variance for one in strata.values()) / n if n >= 2 else FIRST_VARIANCE


def allocate(
    strata: Mapping[str, Stratum], *, half_width: float | None = None, calls: float | None = None, floor: float = 0.01
) -> dict[str, float]:
    """The probability of each stratum: proportional to its standard deviation, at least `floor`, at most 1.

    The smallest probabilities whose regression-assisted mean has a 95 % interval of at most +-`half_width` over one
    day, and that take at most `calls` a day. Variances are shrunk towards the pooled one, so that new strata get its
    probability. Floors keep every estimate possible and every variance learnable.

    Source: Neyman, J. Royal Statistical Society 97 (1934); for Poisson sampling Sarndal, Swensson and Wretman, Model
    Assisted Survey Sampling (1992), sections 3.5 and 12.2.

    Raises:
        ValueError: neither a half width nor a number of calls, or a floor outside (0, 1].
    """
    if (half_width is None and calls is None) or not 0 < floor <= 1:
        raise ValueError("allocate needs half_width or calls, and a floor in (0, 1]")
    pooled = pooled_variance(strata)
    sd = {
        name: math.sqrt((one.n * one.variance + SHRINK_BY * pooled) / (one.n + SHRINK_BY))
        for name, one in strata.items()
    }

    def at(scale: float) -> dict[str, float]:
        return {name: min(1.0, max(floor, scale * sd[name])) for name in strata}

    total = sum(one.size for one in strata.values())

    def enough(chosen: Mapping[str, float]) -> bool:
        error = sum(one.size * sd[name] ** 2 * (1 / chosen[name] - 1) for name, one in strata.items())
        return half_width is None or math.sqrt(error) / total * Z95 <= half_width

    def affordable(chosen: Mapping[str, float]) -> bool:
        return calls is None or sum(one.size * chosen[name] for name, one in strata.items()) <= calls

    if not total:
        return at(math.inf if half_width is None else 1.0)
    highest = 1 / max(min(sd.values()), 1e-9)
    wanted = _smallest(lambda scale: enough(at(scale)), highest) if half_width is not None else highest
    if not affordable(at(wanted)):
        # The largest scale that is affordable; the floors may cost more than the budget, which then cuts by hash.
        wanted = _smallest(lambda scale: not affordable(at(scale)), highest) * (1 - 1e-9)
    return at(wanted)


def expected_calls(strata: Mapping[str, Stratum], probabilities: Mapping[str, float]) -> float:
    """Calls a day under these probabilities."""
    return sum(one.size * probabilities[name] for name, one in strata.items())


def assisted_mean(
    values: Values, probabilities: Values, predictions: Values, predictions_of_all: Values
) -> AssistedMean:
    """The mean of everything: that of the predictions, corrected by the weighted residuals of what was scored.

    Each value was scored with a known probability (Poisson sampling); a useless prediction costs nothing but its
    variance, and a biased one is put right by the residuals. With stratum means as predictions it is post-stratified.

    Source: the difference estimator with Hajek's denominator, Sarndal, Swensson and Wretman (1992), section 6.6; with
    a model's predictions the same as prediction-powered inference with known probabilities (Angelopoulos et al. 2023).
    """
    y, p, predicted = (
        floats(values, "values"),
        floats(probabilities, "probabilities"),
        floats(predictions, "predictions"),
    )
    same_length(y, p, "values and probabilities")
    same_length(y, predicted, "values and predictions")
    everything = floats(predictions_of_all, "predictions_of_all")
    residuals, weights = y - predicted, 1 / p
    total = float(weights.sum())
    correction = float((weights * residuals).sum()) / total
    mean = float(everything.mean()) + correction
    sampling = float((weights * (weights - 1) * (residuals - correction) ** 2).sum()) / total**2
    error = math.sqrt(sampling)
    return AssistedMean(mean, error, Interval(mean - Z95 * error, mean + Z95 * error), len(y))


def post_stratified_mean(
    values: Values, probabilities: Values, strata: Sequence[str], sizes: Mapping[str, float]
) -> AssistedMean:
    """The mean of everything from scores by stratum, where the size of each stratum is known.

    The mean of a stratum is weighted; its variance has n - 1 degrees of freedom and is shrunk towards the pooled one as
    in `allocate`, so that a few equal scores of a rare stratum do not count as certainty. The interval uses Student's t
    with Satterthwaite's degrees of freedom. A stratum without a score counts with the mean of the others, and with
    the largest variance, undrawn.

    Source: Sarndal, Swensson and Wretman (1992), section 7.6; Satterthwaite, Biometrics Bulletin 2 (1946).

    Raises:
        ValueError: no value, lengths that differ, or a score of a stratum that has no size.
    """
    y, p = floats(values, "values"), floats(probabilities, "probabilities")
    same_length(y, p, "values and probabilities")
    same_length(y, strata, "values and strata")
    codes = {name: n for n, name in enumerate(sizes)}
    if missing := set(strata) - codes.keys():
        raise ValueError(f"no size is given for the stratum {min(missing)!r}")
    place = np.array([codes[name] for name in strata])
    size = np.array(list(sizes.values()), dtype=np.float64)
    n, weights = np.bincount(place, minlength=len(size)), 1 / p
    worth = np.bincount(place, weights, len(size))
    worth[n == 0] = 1.0
    means = np.bincount(place, weights * y, len(size)) / worth
    squared = np.bincount(place, (y - means[place]) ** 2, len(size))
    within = float(squared.sum()) / max(1, len(y) - int((n > 0).sum()))
    variance = (squared + SHRINK_BY * within) / np.maximum(n - 1 + SHRINK_BY, 1)
    means[n == 0] = float((means * size)[n > 0].sum() / size[n > 0].sum())
    # What of a stratum was not drawn is what its mean is uncertain about; one without a score counts as one.
    drawn = np.bincount(place, weights * (weights - 1), len(size)) / worth**2
    drawn[n == 0] = 1.0
    parts = (size / size.sum()) ** 2 * variance * drawn
    error = math.sqrt(float(parts.sum()))
    mean = float((size * means).sum() / size.sum())
    freedom = float(parts.sum()) ** 2 / max(float((parts**2 / np.maximum(n - 1 + SHRINK_BY, 1)).sum()), 1e-300)
    half = error * (student_quantile(freedom, 0.975) if error else 0.0)
    return AssistedMean(mean, error, Interval(mean - half, mean + half), len(y))


def _smallest(holds: object, highest: float) -> float:
    """The smallest scale in (0, highest] for which a monotone condition holds; highest where it never does."""
    low, high = 0.0, highest
    for _ in range(60):
        middle = (low + high) / 2
        if holds(middle):  # type: ignore[operator]
            high = middle
        else:
            low = middle
    return high
