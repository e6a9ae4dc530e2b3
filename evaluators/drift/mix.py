"""What a changed mix of the traffic did to a mean, one dimension at a time while the others are held: Oaxaca and Blinder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np

from ..statistics.distributions import normal_cdf

# Values of a dimension that have an effect of their own; the rarer ones are counted with the most frequent.
MAX_VALUES, MIN_CALLS = 21, 10


class MixEffect(msgspec.Struct, frozen=True):
    """What the changed shares of a dimension's values add to the difference, and the value that adds most of it.

    `p` is two-sided and corrected for the number of dimensions and of the other candidates.
    """

    dimension: str
    value: str
    effect: float
    p: float
    share_before: float
    share_after: float


def mix_effects(
    calls: dict[str, np.ndarray], dimensions: Sequence[str], beside: np.ndarray, others: int
) -> list[MixEffect]:
    """The effect of each dimension's mix with the other dimensions' and the columns `beside` (changes of the application) held.

    One weighted regression of the scores on dummies of all dimensions gives the levels; the effect of a dimension is the
    sum over its values of the change of share times the level. Its variance has a part for the levels (sandwich) and one
    for the shares, which are those of a sample.
    Source: Oaxaca (1973) and Blinder (1973), pooled with an effect of the moment itself as Jann, Stata Journal 8 (2008).
    """
    y, w = calls["score"].astype(float), calls["weight"].astype(float)
    after = calls["is_after"] == 1
    told = {name: _frequent(calls[name]) for name in dimensions}
    told = {name: values for name, values in told.items() if len(values) > 1}
    if not told:
        return []
    slopes, covariance = fitted(y, w, np.column_stack([controls_of(calls, dimensions), beside]))
    found, place = [], 1
    for name in dimensions:
        values = told.get(name)
        if values is None:
            continue
        at = slice(place, place + len(values) - 1)
        place = at.stop
        inside = np.column_stack([calls[name] == value for value in values]).astype(float)
        level = np.concatenate([[0.0], slopes[at]])
        sides = [np.average(inside[side], axis=0, weights=w[side]) for side in (~after, after)]
        moved = sides[1] - sides[0]
        effect = float(moved @ level)
        variance = float(moved[1:] @ covariance[at, at] @ moved[1:])
        for side, share in zip((~after, after), sides, strict=True):
            off = inside[side] @ level - share @ level
            variance += float((w[side] ** 2 @ off**2) / w[side].sum() ** 2)
        p = 2 * normal_cdf(-abs(effect) / variance**0.5) if variance > 0 else 1.0
        own = moved * (level - (sides[0] + sides[1]) / 2 @ level)
        best = int(np.argmax(own * np.sign(effect)))
        p = min(1.0, p * (others + len(told)))
        found.append(MixEffect(name, str(values[best]), effect, p, float(sides[0][best]), float(sides[1][best])))
    return found


def controls_of(calls: dict[str, np.ndarray], dimensions: Sequence[str]) -> np.ndarray:
    """An intercept and the effects of the frequent values of the dimensions, of each all but the most frequent."""
    columns = [np.ones(len(calls["score"]))]
    for name in dimensions:
        columns += [(calls[name] == value).astype(float) for value in _frequent(calls[name])[1:]]
    return np.column_stack(columns)


def _frequent(values: np.ndarray) -> list[str]:
    return [value for value, n in Counter(values.tolist()).most_common(MAX_VALUES) if n >= MIN_CALLS]


def fit(y: np.ndarray, w: np.ndarray, design: np.ndarray) -> list[tuple[float, float]]:
    """Coefficient and sandwich error of every column in a weighted least-squares fit; error 0 where it cannot be told."""
    slopes, covariance = fitted(y, w, design)
    errors = np.sqrt(np.maximum(np.diag(covariance), 0))
    return [(float(slope), float(error)) for slope, error in zip(slopes, errors, strict=True)]


def fitted(y: np.ndarray, w: np.ndarray, design: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of a weighted least-squares fit and their sandwich covariance, 0 for columns that the others make up."""
    weighted = design * w[:, None]
    gram = design.T @ weighted
    inverse = np.linalg.pinv(gram, rcond=1e-10, hermitian=True)
    slopes = inverse @ (weighted.T @ y)
    residual = (y - design @ slopes)[:, None] * weighted
    n, k = design.shape
    variance = inverse @ (residual.T @ residual) @ inverse * n / max(n - k, 1)
    told = np.diag(inverse @ gram) > 0.999
    return slopes, variance * np.outer(told, told)
