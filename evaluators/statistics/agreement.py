"""How far raters agree beyond chance, and where a score should be cut to agree with people best."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from .samples import Floats, Ratings, Values, floats, same_length

LEVELS = ("nominal", "ordinal", "interval", "ratio")


def cohen_kappa(
    a: Ratings, b: Ratings, weights: str | None = None, *, order: Iterable[Hashable] | None = None
) -> float:
    """Agreement of two raters on the same items, 1 - observed / expected disagreement; 0 is chance, 1 perfect.

    `weights` None counts every disagreement alike; "linear" and "quadratic" by distance: of the values where they are
    numbers (so a missing middle category keeps its room), else of their places in `order`, which lists all grades
    from one end to the other. Two raters who both gave one and the same value everywhere agree perfectly: 1.0, though
    nothing shows that they could have differed.
    Source: Cohen (1960, 1968). Raises ValueError on empty input, NaN, unequal lengths, unknown weights, a value that
    `order` does not list, and on weights over three or more words without `order`: the alphabet ranks no grades.
    """
    left, right = _rated(a, "a"), _rated(b, "b")
    same_length(left, right, "a and b")
    if weights not in (None, "linear", "quadratic"):
        raise ValueError(f'weights must be None, "linear" or "quadratic", not {weights!r}')
    categories = _categories([*left, *right])
    table = np.zeros((len(categories), len(categories)))
    np.add.at(table, ([categories.index(v) for v in left], [categories.index(v) for v in right]), 1.0)
    places = _places(categories, order, ranked=weights is not None)
    apart = np.abs(places[:, None] - places[None, :])
    cost = (apart > 0).astype(float) if weights is None else apart ** (1 if weights == "linear" else 2)
    expected = float((cost * np.outer(table.sum(1), table.sum(0))).sum()) / len(left)
    return 1.0 - float((cost * table).sum()) / expected if expected else 1.0


def fleiss_kappa(counts: Iterable[Values]) -> float:
    """Agreement of several raters; `counts[i][j]` is how many raters put item i in category j.

    Every item needs the same number of ratings, at least two. All ratings in one category: 1.0.
    Source: Fleiss, Psychological Bulletin 76 (1971). Raises ValueError on a table that is not such.
    """
    table = np.asarray(list(counts), dtype=np.float64)
    if table.ndim != 2 or not table.size:
        raise ValueError("counts must be a table: one row per item, one column per category")
    if not np.isfinite(table).all() or (table < 0).any():
        raise ValueError("counts must be finite and not negative")
    raters = float(table[0].sum())
    if raters < 2 or (table.sum(1) != raters).any():
        raise ValueError("every item needs the same number of ratings, at least two; krippendorff_alpha takes gaps")
    observed = float(((table**2).sum(1) - raters).mean()) / (raters * (raters - 1))
    expected = float(((table.sum(0) / table.sum()) ** 2).sum())
    return (observed - expected) / (1 - expected) if expected < 1 else 1.0


def krippendorff_alpha(ratings: Iterable[Ratings], level: str) -> float:
    """Agreement of any number of raters with gaps; `ratings[r][u]` is rater r's value for unit u, None or NaN a gap.

    `level` is how values differ: "nominal", "ordinal", "interval" or "ratio". All values alike: 1.0.
    Source: Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011).
    Raises ValueError when no unit has two ratings, on ragged rows, an unknown level, or text above nominal.
    """
    if level not in LEVELS:
        raise ValueError(f"level must be one of {', '.join(LEVELS)}, not {level!r}")
    rows = [[None if _gap(value) else value for value in row] for row in ratings]
    if len({len(row) for row in rows}) > 1:
        raise ValueError("every rater needs one entry per unit (None for a gap)")
    units = [[v for v in unit if v is not None] for unit in zip(*rows, strict=True)]
    units = [unit for unit in units if len(unit) > 1]
    if not units:
        raise ValueError("no unit was rated twice: agreement cannot be measured")
    values = _categories([v for unit in units for v in unit])
    if level != "nominal" and not all(_is_number(v) for v in values):
        raise ValueError(f"level {level!r} needs numbers")
    table = np.array([[unit.count(v) for v in values] for unit in units], dtype=np.float64)
    distance = _squared_distances(values, table.sum(0), level)
    sizes = table.sum(1)
    total = table.sum(0)
    observed = float((np.einsum("ui,uj,ij->u", table, table, distance) / (sizes - 1)).sum())
    expected = float(total @ distance @ total) / (float(sizes.sum()) - 1)
    return 1.0 - observed / expected if expected else 1.0


def youden_threshold(labels: Values, scores: Values) -> float:
    """The score from which on "positive" agrees best with the labels: the largest TPR - FPR over score >= threshold.

    Of equally good thresholds the highest, the one with the fewest false positives.
    Source: Youden, Cancer 3 (1950). Raises ValueError on NaN, unequal lengths or labels of one kind only.
    """
    s = floats(scores, "scores")
    y = floats(labels, "labels")
    same_length(y, s, "labels and scores")
    if not np.isin(y, (0, 1)).all():
        raise ValueError("labels must be true or false (1 or 0)")
    positives, negatives = float(y.sum()), float((1 - y).sum())
    if not positives or not negatives:
        raise ValueError("labels are all of one kind: a threshold needs positives and negatives")
    thresholds = np.unique(s)[::-1]
    flagged = s[None, :] >= thresholds[:, None]
    gain = (flagged & (y == 1)).sum(1) / positives - (flagged & (y == 0)).sum(1) / negatives
    # Rounded, so that equal gains that differ in the last bit count as equal.
    return float(thresholds[int(np.argmax(np.round(gain, 12)))])


def _squared_distances(values: list[Any], totals: Floats, level: str) -> Floats:
    size = len(values)
    if level == "nominal":
        return 1.0 - np.eye(size)
    if level == "ordinal":
        middle = np.cumsum(totals) - totals / 2
        return np.asarray((middle[:, None] - middle[None, :]) ** 2)
    v = np.array(values, dtype=np.float64)
    apart = v[:, None] - v[None, :]
    if level == "interval":
        return np.asarray(apart**2)
    together = v[:, None] + v[None, :]
    return np.asarray(np.divide(apart, together, out=np.zeros_like(apart), where=together != 0) ** 2)


def _rated(values: Ratings, name: str) -> list[Any]:
    rated = [value.item() if isinstance(value, np.generic) else value for value in values]
    if not rated:
        raise ValueError(f"{name} is empty: no item was rated")
    for i, value in enumerate(rated):
        if _gap(value):
            raise ValueError(f"{name}[{i}] is {value}: leave items out that one rater did not rate, and count them")
    return rated


def _categories(values: list[Hashable]) -> list[Any]:
    return sorted(set(values), key=lambda v: (0, v, "") if _is_number(v) else (1, 0, str(v)))


def _places(categories: list[Any], order: Iterable[Hashable] | None, *, ranked: bool) -> Floats:
    """Where each category stands on the scale; without `ranked` any places do, as long as they differ."""
    if order is not None:
        scale = list(order)
        missing = [one for one in categories if one not in scale]
        if missing or len(set(scale)) < len(scale):
            raise ValueError(f"order must list every grade once; {missing or scale!r} is not so listed")
        return np.array([scale.index(one) for one in categories], dtype=np.float64)
    if all(_is_number(category) for category in categories):
        return np.array(categories, dtype=np.float64)
    if ranked and len(categories) > 2:
        raise ValueError(
            f"the order of the grades {categories!r} is not known: pass order=[...] from one end of the scale to the other"
        )
    return np.arange(len(categories), dtype=np.float64)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number | np.bool_)


def _gap(value: object) -> bool:
    return value is None or (isinstance(value, float | np.floating) and math.isnan(value))
