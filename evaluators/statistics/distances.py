"""How far two distributions over the same categories lie apart: the measures of input drift."""

from __future__ import annotations

import math

import numpy as np

from .samples import Floats, Values, floats, same_length

# What an empty category counts as where a logarithm would be infinite; non-empty ones stay as they are.
FLOOR = 1e-4


def population_stability_index(p: Values, q: Values) -> float:
    """Sum (p - q) ln(p / q) over categories, from counts or shares; 0 is equal, there is no upper bound.

    A category that is empty on one side counts as a share of 0.0001 there, one that is empty on both is left out.
    The usual 0.1 and 0.25 are folklore: PSI * n m / (n + m) is about chi-square with (categories - 1) degrees of
    freedom under no change, which gives a p-value. Source: Kullback and Leibler's symmetric divergence (1951).
    Raises ValueError on NaN, negatives, unequal lengths or an empty distribution.
    """
    left, right = _shares(p, q)
    seen = (left > 0) | (right > 0)
    left, right = (np.where(side[seen] > 0, side[seen], FLOOR) for side in (left, right))
    return max(0.0, float(((left - right) * np.log(left / right)).sum()))


def jensen_shannon_distance(p: Values, q: Values) -> float:
    """The root of the Jensen-Shannon divergence to base 2, from counts or shares; 0 is equal, 1 is disjoint.

    Source: Lin, IEEE Trans. Information Theory 37 (1991); Endres and Schindelin (2003) for the distance.
    Raises ValueError on NaN, negatives, unequal lengths or an empty distribution.
    """
    left, right = _shares(p, q)
    middle = (left + right) / 2
    divergence = (_relative_entropy(left, middle) + _relative_entropy(right, middle)) / 2
    return math.sqrt(min(1.0, max(0.0, divergence)))


def _relative_entropy(p: Floats, q: Floats) -> float:
    seen = p > 0
    return float((p[seen] * np.log2(p[seen] / q[seen])).sum())


def _shares(p: Values, q: Values) -> tuple[Floats, Floats]:
    left, right = floats(p, "p"), floats(q, "q")
    same_length(left, right, "p and q")
    for side, name in ((left, "p"), (right, "q")):
        if (side < 0).any() or not side.sum() > 0:
            raise ValueError(f"{name} must hold counts or shares: none negative, not all zero")
    return left / left.sum(), right / right.sum()
