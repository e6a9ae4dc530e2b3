"""The sign-flip test of paired differences, by clusters: exact where it can be, for weighted and for clustered pairs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np

from .distributions import normal_cdf
from .samples import Floats, Values, floats, same_length

_ENUMERATED = 16
"""Clusters of which all 2^n signs are looked at."""
_LARGEST_SUM = 4000
"""Whole numbers up to this total are convolved, whatever the number of clusters."""
_ROUNDING = 1e-9


def sign_flip_test(differences: Values, clusters: Sequence[Hashable]) -> float:
    """The one-sided p of "the differences are not below 0", when those of one cluster (a conversation) move together.

    The signs of the clusters' sums are what chance may flip. Exact for up to 16 clusters that differ, and for whole
    numbers (verdicts) up to a total of 4000; normal above. With a cluster for each pair of verdicts it is McNemar's
    exact test. Weighted differences are given multiplied with their weights.
    Source: Fisher, The Design of Experiments (1935); for clusters, Eliasziw and Donner, Statistics in Medicine 10 (1991).
    Raises ValueError on NaN, empty input or unequal lengths.
    """
    x = floats(differences, "differences")
    same_length(x, list(clusters), "differences and clusters")
    grouped: dict[Hashable, list[float]] = defaultdict(list)
    for value, cluster in zip(x.tolist(), clusters, strict=True):
        grouped[cluster].append(value)
    totals = np.array([math.fsum(values) for values in grouped.values()])
    observed, sizes = float(totals.sum()), np.abs(totals[totals != 0])
    if not sizes.size:
        return 1.0
    if sizes.size <= _ENUMERATED:
        return _enumerated(sizes, observed)
    if (sizes == np.round(sizes)).all() and sizes.sum() <= _LARGEST_SUM:
        return _convolved(sizes.astype(int), round(observed))
    return normal_cdf(observed / math.sqrt(float((sizes**2).sum())))


def _enumerated(sizes: Floats, observed: float) -> float:
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums - size, sums + size])
    return float((sums <= observed + _ROUNDING * float(sizes.sum())).mean())


def _convolved(sizes: np.ndarray, observed: int) -> float:
    total = int(sizes.sum())
    chance = np.zeros(2 * total + 1)
    chance[total] = 1.0
    for size in sizes:
        # No sum leaves the array: what would roll over its ends has probability 0.
        chance = 0.5 * (np.roll(chance, size) + np.roll(chance, -size))
    return float(min(1.0, chance[: observed + total + 1].sum()))
