"""Which changes the scores speak for: features enter a weighted regression one by one, the best-fitting first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from ..statistics.distributions import normal_cdf
from .mix import fit

TRAFFIC = ("segment", "topic", "service", "language")
"""The columns of shift_calls that say of which traffic a call is."""
# Corrected p-values below which a cause is named: of a mean that moved, and of one that moved no more than by chance.
P_NAMED, P_NAMED_ALONE = 0.01, 0.002
MAX_NAMED = 6
ALIKE, NEARLY, DATE_IN_DOUBT, MORE = 0.98, 0.9, 7.35, 2.0


class Feature(msgspec.Struct, frozen=True):
    """Something that may explain scores: what it is, the calls that have it, and its share of them before and after.

    The bare moment, which stands for what nobody recorded, has no kind.
    """

    kind: str
    value: str
    column: str
    calls: Any
    """1.0 for each call that has it."""
    before: float
    after: float
    inside: Any = None
    """Of a place all calls in it, also those before."""

    @property
    def name(self) -> str:
        """What it is called in a sentence; a language says itself that it is one."""
        return self.value if self.column == "language" else f"{self.kind} {self.value}"


def explained(
    y: np.ndarray, w: np.ndarray, after: np.ndarray, controls: np.ndarray, pool: list[Feature], p_named: float
) -> tuple[list[tuple[Feature, float, float]], str]:
    """The features that the scores speak for, with effect and p: first what changed in the application, then where.

    `p` is corrected for the number of either. Where a recorded change reached nearly all calls it is the cause, also of a
    fall in some places only (scores have a floor and a ceiling, and segments differ): then that place is the second answer.
    """
    recorded = [one for one in pool if one.column not in TRAFFIC]
    places = [one for one in pool if one.column in TRAFFIC]
    chosen = _forward(y, w, after, controls, [], recorded, p_named)
    chosen = _place_for_moment(y, w, after, controls, chosen, places, p_named)
    places = [one for one in places if all(one is not other for other in chosen)]
    where, tests = "", {True: len(places), False: len(recorded)}
    for _ in range(MAX_NAMED):
        found = _forward(y, w, after, controls, chosen, places, p_named, most=1)
        if len(found) == len(chosen):
            break
        place = found[-1]
        places = [one for one in places if one is not place]
        slopes = [slope for slope, _ in _slopes(y, w, controls, found)]
        steps = [i for i, one in enumerate(chosen) if np.corrcoef(one.calls, after)[0, 1] > NEARLY]
        common = sum(slopes[i] for i in steps)
        if any(chosen[i].kind for i in steps):
            if slopes[-1] * common >= 0 and abs(slopes[-1]) >= MORE * abs(common):
                where = place.name
            break
        if _stands_out(y, w, after, place, slopes[-1] + common, common):
            chosen = _still(y, w, controls, found)
    answers = []
    for feature, (slope, error) in zip(chosen, _slopes(y, w, controls, chosen), strict=True):
        before, share = shares(feature.calls, w, after)
        p = corrected(slope, error, tests[feature.column in TRAFFIC])
        answers.append((feature, slope * (share - before), p))
    return answers, where


def _place_for_moment(
    y: np.ndarray,
    w: np.ndarray,
    after: np.ndarray,
    controls: np.ndarray,
    chosen: list[Feature],
    places: list[Feature],
    p_named: float,
) -> list[Feature]:
    """The chosen features with a place instead of the bare moment, where it fits much better and leaves nothing to that.

    Twice the difference of the log-likelihoods has to outweigh that the best of several places is taken: 2 log(their number).
    """
    bare = next((one for one in chosen if not one.kind), None)
    rest = [one for one in chosen if one is not bare]
    found = _forward(y, w, after, controls, rest, places, p_named, most=1) if bare else rest
    if bare is None or len(found) == len(rest):
        return chosen
    place, moment = (_strength(_slopes(y, w, controls, [*rest, one])[-1]) for one in (found[-1], bare))
    left = corrected(*_slopes(y, w, controls, [*found, bare])[-1], 1)
    return found if place**2 - moment**2 > 2 * np.log(max(len(places), 2)) and left >= P_NAMED else chosen


def _strength(found: tuple[float, float]) -> float:
    """How far a coefficient is from 0, in errors."""
    slope, error = found
    return abs(slope / error) if error else 0.0


def _stands_out(y: np.ndarray, w: np.ndarray, after: np.ndarray, place: Feature, inside: float, outside: float) -> bool:
    """Whether a place moved at least twice as far as the rest, also as a part of the way to the end of the scale.

    Where all calls move alike, a place near the floor or the ceiling of the scores moves less, and the others seem to
    stand out; one that did not move is no cause of what the others did.
    """
    within = place.inside.astype(bool)
    end = y.max() if inside > 0 else y.min()
    room = [abs(end - np.average(y[side], weights=w[side])) for side in (within & (after == 0), ~within & (after == 0))]
    return abs(inside) >= MORE * abs(outside) and abs(inside) * room[1] >= MORE * abs(outside) * room[0]


def _forward(
    y: np.ndarray,
    w: np.ndarray,
    after: np.ndarray,
    controls: np.ndarray,
    start: list[Feature],
    pool: list[Feature],
    p_named: float,
    most: int = MAX_NAMED,
) -> list[Feature]:
    """`start` and features one by one, the best-fitting next, as long as its corrected p-value is small."""
    chosen, left = list(start), list(pool)
    while left and len(chosen) < len(start) + most:
        strengths = [_slopes(y, w, controls, [*chosen, one])[-1] for one in left]
        best = max(abs(b / e) if e else 0.0 for b, e in strengths)
        if corrected(best, 1.0, len(pool)) >= p_named:
            break
        # A recorded change that fits as well as the bare moment is preferred to it, and the order of kinds to chance.
        place = next(i for i, (b, e) in enumerate(strengths) if e and _as_well(abs(b / e), best, left[i], after))
        chosen.append(left.pop(place))
    return chosen


def _still(y: np.ndarray, w: np.ndarray, controls: np.ndarray, chosen: list[Feature]) -> list[Feature]:
    """The features without those that the newest one has made needless, the weakest first."""
    left = list(chosen)
    while len(left) > 1:
        found = _slopes(y, w, controls, left)[:-1]
        weakest = max(range(len(found)), key=lambda i: corrected(*found[i], 1))
        if corrected(*found[weakest], 1) < P_NAMED:
            break
        left.pop(weakest)
    return left


def _slopes(
    y: np.ndarray, w: np.ndarray, controls: np.ndarray, features: Sequence[Feature]
) -> list[tuple[float, float]]:
    """Coefficient and error of each feature beside the controls and each other."""
    design = np.column_stack([controls, *(one.calls for one in features)])
    found = fit(y, w, design)[controls.shape[1] :]
    return [(slope, _as_of_few(slope, error, one)) for (slope, error), one in zip(found, features, strict=True)]


def _as_of_few(slope: float, error: float, feature: Feature) -> float:
    """The error with which a coefficient is as far out on the normal curve as it is on Student's t of the calls that tell it.

    Source: Wallace, Bounds on normal approximations to Student's and the chi-square distributions, Annals of Mathematical
    Statistics 30 (1959); the degrees of freedom are the calls of the smaller group, without one.
    """
    having = float(np.count_nonzero(feature.calls))
    freedom = max(1.0, min(having, len(feature.calls) - having) - 1)
    if not error or not slope:
        return error
    normal = (8 * freedom + 1) / (8 * freedom + 3) * (freedom * np.log1p((slope / error) ** 2 / freedom)) ** 0.5
    return float(abs(slope) / normal)


def corrected(slope: float, error: float, tests: int) -> float:
    """The two-sided p-value of a coefficient times the number of tests, 1 where it has no error."""
    return min(1.0, 2 * normal_cdf(-abs(slope / error)) * tests) if error else 1.0


def _as_well(strength: float, best: float, feature: Feature, after: np.ndarray) -> bool:
    """Whether a feature fits as well as the best one; nobody knows to the hour when a change of the mean began.

    A recorded change at nearly the same calls as the moment fits as well while its date lies in the 95 % confidence set of
    the moment's: twice the difference of the log-likelihoods at most 7.35.
    Source: Siegmund, Confidence sets in change-point problems, International Statistical Review 56 (1988).
    """
    if strength >= ALIKE * best:
        return True
    nearly = bool(feature.kind) and feature.column not in TRAFFIC and np.corrcoef(feature.calls, after)[0, 1] > NEARLY
    return bool(nearly and best**2 - strength**2 <= DATE_IN_DOUBT)


def shares(x: np.ndarray, w: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """The weighted share of calls with a feature before and after."""
    sides = (after == 0, after == 1)
    before, share = (float((w * x)[side].sum() / w[side].sum()) for side in sides)
    return before, share
