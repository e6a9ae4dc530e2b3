"""The change point of a mean: the split of a series whose two sides differ most, measured by its own scatter."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec


class ChangePoint(msgspec.Struct, frozen=True):
    """Where a series changed: `index` is the first value after the change, `z` the standardised difference."""

    index: int
    before: float
    after: float
    z: float


def change_point(
    values: Sequence[float], weights: Sequence[float], *, min_before: int = 4, min_after: int = 2
) -> ChangePoint | None:
    """
    The most standing out single change of the mean, None for a series that is too short.

    `weights` say how much each value is worth, such as the number of scores behind a mean. The variance is that of
    the values around the two means of the split, so a series that swings by itself needs a larger change.

    source: Sen and Srivastava (1975), On tests for detecting change in mean; Hawkins (1977).
    """
    n = len(values)
    if n < min_before + min_after or n != len(weights):
        return None
    best: ChangePoint | None = None
    total_w, total_y = math.fsum(weights), math.fsum(w * y for w, y in zip(weights, values, strict=True))
    total_yy = math.fsum(w * y * y for w, y in zip(weights, values, strict=True))
    w = y = yy = 0.0
    for at in range(n - min_after):
        w, y, yy = w + weights[at], y + weights[at] * values[at], yy + weights[at] * values[at] ** 2
        if at + 1 < min_before or w <= 0 or total_w - w <= 0:
            continue
        before, after = y / w, (total_y - y) / (total_w - w)
        scatter = max(0.0, total_yy - w * before**2 - (total_w - w) * after**2) / (n - 2)
        error = math.sqrt(scatter * (1 / w + 1 / (total_w - w)))
        difference = after - before
        z = difference / error if error > 0 else math.copysign(math.inf, difference) if difference else 0.0
        if best is None or abs(z) > abs(best.z):
            best = ChangePoint(at + 1, before, after, z)
    return best
