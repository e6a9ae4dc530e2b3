"""Why two means differ: so much because the mix of groups changed, so much because the groups themselves did."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import msgspec
import numpy as np

from .distributions import normal_cdf
from .samples import Floats, Interval, Values, floats, on_unit_scale, same_length

_Z = 1.959963984540054


class Contribution(msgspec.Struct, frozen=True):
    """What one group adds to a difference of means; shares are of the weights on either side, counts of values."""

    group: Hashable
    effect: float
    interval: Interval
    p: float
    share_before: float
    share_after: float
    mean_before: float
    mean_after: float
    n_before: int = 0
    n_after: int = 0


class Decomposition(msgspec.Struct, frozen=True):
    """A difference of means, after minus before, as mix + within, exactly; each with its interval and its groups' parts."""

    difference: float
    interval: Interval
    p: float
    before: float
    after: float
    mix: float
    mix_interval: Interval
    within: float
    within_interval: Interval
    mix_parts: list[Contribution]
    within_parts: list[Contribution]


class _Side:
    """Shares, means and their second moments per group, of weighted values."""

    def __init__(self, y: Floats, w: Floats, codes: np.ndarray, count: int) -> None:
        self.total = float(w.sum())
        weight = np.bincount(codes, w, count)
        self.share = weight / self.total
        self.mean = np.divide(np.bincount(codes, w * y, count), weight, out=np.full(count, np.nan), where=weight > 0)
        self.squared_weights = np.bincount(codes, w * w, count) / self.total**2
        residual = w * (y - self.mean[codes])
        self.squares = np.bincount(codes, residual**2, count) / self.total**2
        self.n = n = np.bincount(codes, minlength=count)
        self.squares *= np.where(n > 1, n / np.maximum(n - 1, 1), 1.0)
        self.overall = float((w * y).sum() / self.total)

    def variances(self, on_share: Floats, on_mean: Floats) -> Floats:
        """Each group's part of the variance of sum(on_share * share + on_mean * mean), by linearisation."""
        centred = on_share - float((on_share * self.share).sum())
        slope = np.divide(on_mean, self.share, out=np.zeros_like(on_mean), where=self.share > 0)
        return centred**2 * self.squared_weights + slope**2 * self.squares


def kitagawa(
    before: Values,
    after: Values,
    before_groups: Sequence[Hashable],
    after_groups: Sequence[Hashable],
    *,
    before_weights: Values | None = None,
    after_weights: Values | None = None,
) -> Decomposition:
    """The difference of two weighted means as the part of the mix of groups and the part within the groups.

    mix = sum (q1 - q0) (m0 + m1) / 2 and within = sum (q0 + q1) / 2 (m1 - m0) over the groups' shares q and means m, 0
    before and 1 after; they add up to the difference exactly. A group that one side lacks has there the mean that it has
    on the other: all it does is mix. The parts of the mix are centred on the overall mean, so that a group that grows and
    is like all others contributes nothing. Groups of several dimensions at once are tuples. Intervals are 95 %, by
    linearisation, weights included; a value's group is as random as its score.
    Source: Kitagawa, JASA 50 (1955); Oaxaca (1973) and Blinder (1973) with group dummies.
    Raises ValueError on NaN, unequal lengths or an empty side.
    """
    y0, y1 = floats(before, "before", least=1), floats(after, "after", least=1)
    w0 = np.ones(y0.size) if before_weights is None else floats(before_weights, "before_weights", least=1)
    w1 = np.ones(y1.size) if after_weights is None else floats(after_weights, "after_weights", least=1)
    for values, weights, groups in ((y0, w0, before_groups), (y1, w1, after_groups)):
        same_length(values, weights, "values and weights")
        if len(groups) != values.size:
            raise ValueError(f"values and groups must be of one length, not {values.size} and {len(groups)}")
    names = list(dict.fromkeys([*before_groups, *after_groups]))
    code = {name: number for number, name in enumerate(names)}
    sides = [
        _Side(y, w, np.array([code[g] for g in groups]), len(names))
        for y, w, groups in ((y0, w0, before_groups), (y1, w1, after_groups))
    ]
    parts = _decompose(sides[0], sides[1], names)
    return _within_unit(parts) if on_unit_scale(y0, y1) else parts


def _decompose(old: _Side, new: _Side, names: list[Hashable]) -> Decomposition:
    m0 = np.where(np.isnan(old.mean), new.mean, old.mean)
    m1 = np.where(np.isnan(new.mean), old.mean, new.mean)
    level, moved = (m0 + m1) / 2, new.share - old.share
    centre = float((level * (old.share + new.share) / 2).sum())
    mix_parts, within_parts = moved * (level - centre), (old.share + new.share) / 2 * (m1 - m0)
    # d/d share and d/d mean of either side; where a side lacks the group its mean is the other side's
    both = ~np.isnan(old.mean) & ~np.isnan(new.mean)
    half = np.where(both, moved / 2, moved)
    mix_variance = new.variances(level, np.where(np.isnan(new.mean), 0, half)) + old.variances(
        level, np.where(np.isnan(old.mean), 0, half)
    )
    weight = np.where(both, (old.share + new.share) / 2, 0.0)
    within_variance = new.variances((m1 - m0) / 2, weight) + old.variances((m1 - m0) / 2, weight)
    whole = new.variances(m1, new.share) + old.variances(m0, old.share)
    difference = new.overall - old.overall
    mix, within = float((moved * level).sum()), float(within_parts.sum())
    shares = [
        (float(old.share[i]), float(new.share[i]), float(m0[i]), float(m1[i]), int(old.n[i]), int(new.n[i]))
        for i in range(len(names))
    ]
    own_mix = (level - centre) ** 2 * (new.squared_weights + old.squared_weights) + half**2 * (
        _over(new.squares, new.share) + _over(old.squares, old.share)
    )
    own_within = weight**2 * (_over(new.squares, new.share) + _over(old.squares, old.share))
    return Decomposition(
        difference,
        _around(difference, float(whole.sum())),
        _p(difference, float(whole.sum())),
        old.overall,
        new.overall,
        mix,
        _around(mix, float(mix_variance.sum())),
        within,
        _around(within, float(within_variance.sum())),
        _contributions(names, mix_parts, own_mix, shares),
        _contributions(names, within_parts, own_within, shares),
    )


def _within_unit(found: Decomposition) -> Decomposition:
    """Of scores between 0 and 1, nothing moves a mean by more than 1."""

    def cut(parts: list[Contribution]) -> list[Contribution]:
        return [msgspec.structs.replace(part, interval=part.interval.within(-1, 1)) for part in parts]

    return msgspec.structs.replace(
        found,
        interval=found.interval.within(-1, 1),
        mix_interval=found.mix_interval.within(-1, 1),
        within_interval=found.within_interval.within(-1, 1),
        mix_parts=cut(found.mix_parts),
        within_parts=cut(found.within_parts),
    )


def _over(squares: Floats, share: Floats) -> Floats:
    """The variance of a group's mean, from its part of the variance of the whole."""
    return np.divide(squares, share**2, out=np.zeros_like(squares), where=share > 0)


def _contributions(
    names: list[Hashable], effects: Floats, variances: Floats, shares: list[tuple[float, float, float, float, int, int]]
) -> list[Contribution]:
    found = [
        Contribution(name, float(effect), _around(float(effect), float(v)), _p(float(effect), float(v)), *s)
        for name, effect, v, s in zip(names, effects, variances, shares, strict=True)
    ]
    return sorted(found, key=lambda part: -abs(part.effect))


def _around(value: float, variance: float) -> Interval:
    half = _Z * variance**0.5
    return Interval(value - half, value + half)


def _p(value: float, variance: float) -> float:
    if variance <= 0:
        return 1.0 if abs(value) < 1e-12 else 0.0
    return 2 * normal_cdf(-abs(value) / variance**0.5)
