"""What may have moved a metric, ranked: changes of the application and of its traffic whose timing and place fit the scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np

from ..statistics.decomposition import Decomposition
from ..statistics.distributions import chi_square_p, fisher_exact_p
from .mix import MixEffect, controls_of, fit, mix_effects
from .selection import ALIKE, MAX_NAMED, P_NAMED, P_NAMED_ALONE, TRAFFIC, Feature, corrected, explained, shares

# The columns of the query shift_calls, and the kind of candidate that each is; the first of two that fit alike leads.
CONFIGURATION = {
    "prompt": "prompt",
    "version": "prompt",
    "model": "model",
    "new_documents": "documents",
    "tools": "tool",
    "tool_failed": "tool",
}
# Columns that hold one value for each call of the trace, one a line.
SEVERAL = ("prompt", "version", "model")
FLAGS = {"new_documents": "documents not retrieved before", "tool_failed": "failing tools"}
LATER = {"parameters": "parameters", "release": "release"}
# A language is a segment of the traffic, and its value says that it is a language.
PLACES = {"segment": "segment", "topic": "topic", "service": "service", "language": "segment"}
MIN_CALLS, MIN_SHARE = 10, 0.02
P_SHIFT, P_CHANGED = 0.05, 0.001


class Candidate(msgspec.Struct, frozen=True):
    """One possible cause: what it is, which part of the difference it explains, how sure, and what speaks against it.

    `label` is what people call it: of a prompt's fingerprint the name and version that the application gave it.
    `dimension` is that of the traffic of which `value` is one: segment, topic, service or language (whose kind is segment).
    """

    kind: str
    value: str
    share: float
    p: float
    effect: float
    share_before: float
    share_after: float
    against: str = ""
    label: str = ""
    dimension: str = ""


def rank_candidates(calls: dict[str, np.ndarray], parts: Decomposition) -> list[Candidate]:
    """The causes that the scores speak for, the largest effect first; empty where nothing speaks for one.

    Changes of the application enter a weighted regression on the scores one by one, the one that fits best first, beside
    the effects of segment, topic, service and language and a step at the moment itself, which stands for what nobody recorded.
    `p` is that of the coefficient (sandwich error) times the number of candidates. What the change of mix of a segment,
    topic, service or language adds is that of the decomposition.
    """
    y, w = calls["score"].astype(float), calls["weight"].astype(float)
    after, controls = calls["is_after"].astype(float), controls_of(calls, TRAFFIC)
    if parts.difference == 0:
        return []
    p_named = P_NAMED if _moved(y, w, after, controls, parts) else P_NAMED_ALONE
    pool = _features(calls, w, after)
    chosen, where = explained(y, w, after, controls, pool, p_named)
    found = [
        Candidate(
            feature.kind,
            feature.value,
            dimension=feature.column if feature.column in TRAFFIC else "",
            share=effect / parts.difference,
            p=p,
            effect=effect,
            share_before=feature.before,
            share_after=feature.after,
            against=_against(feature, chosen, pool, effect / parts.difference, where),
            label=_version_of(calls, feature) if feature.column == "prompt" else "",
        )
        for feature, effect, p in chosen
        if feature.kind
    ]
    beside = np.column_stack([after, *(one.calls for one, _, _ in chosen)])
    found += [
        _of_mix(one, parts) for one in mix_effects(calls, TRAFFIC, beside, len(pool)) if _matters(one, parts, p_named)
    ]
    return sorted(found, key=lambda one: -abs(one.effect))[:MAX_NAMED]


def _moved(y: np.ndarray, w: np.ndarray, after: np.ndarray, controls: np.ndarray, parts: Decomposition) -> bool:
    """Whether the mean moved beyond chance, or its mix or what is within, which may make up for each other."""
    within = corrected(*fit(y, w, np.column_stack([controls, after]))[-1], 1)
    error = (parts.mix_interval.high - parts.mix_interval.low) / 3.92
    return min(parts.p, within, corrected(parts.mix, error, 1)) < P_SHIFT


def _features(calls: dict[str, np.ndarray], w: np.ndarray, after: np.ndarray) -> list[Feature]:
    """The values of the application's settings that are new or took another share, and segments that changed within."""
    found = []
    for column, kind in {**CONFIGURATION, **LATER}.items():
        flag = column in FLAGS
        values = ["1"] if flag else [v for v, _ in _counted(calls, column).most_common(30) if v]
        for value in values:
            x = calls[column].astype(float) if flag else having(calls, column, value)
            before, share = shares(x, w, after)
            if x[after == 1].sum() >= MIN_CALLS and share - before >= MIN_SHARE and _share_p(x, after) < P_CHANGED:
                found.append(Feature(kind, _named(column, value), column, x, before, share))
    found.append(Feature("", "", "", after, 0.0, 1.0))
    for column in TRAFFIC:
        for value, count in Counter(calls[column].tolist()).most_common(20):
            inside = calls[column] == value
            if value and 2 * MIN_CALLS <= count < 0.95 * len(after):
                x = inside * after
                if min(x.sum(), (inside * (1 - after)).sum()) >= MIN_CALLS:
                    both = shares(inside.astype(float), w, after)
                    found.append(Feature(PLACES[column], _named(column, value), column, x, *both, inside))
    return found


def having(calls: dict[str, np.ndarray], column: str, value: str) -> np.ndarray:
    """1.0 for each call with that value, or with it among those of its trace."""
    values = calls[column].tolist()
    found = [value in one.split("\n") for one in values] if column in SEVERAL else [one == value for one in values]
    return np.array(found, dtype=float)


def carriers(calls: dict[str, np.ndarray], kind: str, value: str) -> np.ndarray:
    """Which calls have what a candidate names."""
    found = np.zeros(len(calls["score"]), dtype=bool)
    for column, its_kind in {**CONFIGURATION, **LATER, **PLACES}.items():
        if its_kind != kind:
            continue
        if column in FLAGS:
            found |= calls[column].astype(bool) & (value == FLAGS[column])
        elif column in PLACES:
            found |= np.array([_named(column, one) == value for one in calls[column].tolist()])
        else:
            found |= having(calls, column, value) > 0
    return found


def _counted(calls: dict[str, np.ndarray], column: str) -> Counter[str]:
    values = calls[column].tolist()
    return Counter(v for one in values for v in one.split("\n")) if column in SEVERAL else Counter(values)


def _version_of(calls: dict[str, np.ndarray], feature: Feature) -> str:
    """Name and version that most calls with a prompt have and few others."""
    inside = feature.calls.astype(bool)
    told = Counter(v for one in calls["version"][inside].tolist() for v in one.split("\n") if v)
    # Where one span of a call says the version alone and another with the prompt's name, the one with the name says more.
    best = max(told, key=lambda v: (told[v] - (having(calls, "version", v) * ~inside).sum(), " " in v), default="")
    return best if told[best] > 0.8 * inside.sum() and (having(calls, "version", best) * ~inside).mean() < 0.05 else ""


def _named(column: str, value: str) -> str:
    return FLAGS.get(column, f"language {value}" if column == "language" else str(value))


def _share_p(x: np.ndarray, after: np.ndarray) -> float:
    table = [float(count) for side in (after == 0, after == 1) for count in (x[side].sum(), (1 - x[side]).sum())]
    return fisher_exact_p(*table) if min(table) < 5 else chi_square_p(*table)


def _against(
    feature: Feature,
    chosen: Sequence[tuple[Feature, float, float]],
    pool: list[Feature],
    share: float,
    where: str,
) -> str:
    """What speaks against a candidate: another change at the same calls, calls without it that moved, or with it that did not."""
    twins = [
        other.name
        for other in pool
        if other is not feature
        and other.kind
        and {other.column, feature.column} != {"prompt", "version"}  # two names of one thing
        and other.column not in TRAFFIC
        and np.corrcoef(other.calls, feature.calls)[0, 1] > ALIKE
    ]
    if twins:
        return f"{', '.join(twins)} changed for the same calls"
    if any(not other.kind for other, _, _ in chosen):
        return "calls without it moved at that time, too"
    if where and feature is _first_step(chosen):
        return f"outside {where} calls with it moved less than half as much"
    return "it explains the smaller part" if abs(share) < 1 / 3 else ""


def _first_step(chosen: Sequence[tuple[Feature, float, float]]) -> Feature | None:
    return next((one for one, _, _ in chosen if one.kind and one.column not in TRAFFIC), None)


def _matters(one: MixEffect, parts: Decomposition, p_named: float) -> bool:
    """Whether a dimension's mix moved the mean beyond chance, and by more than a trifle."""
    grew = abs(one.share_after - one.share_before)
    return bool(one.value) and one.p < p_named and grew >= MIN_SHARE and abs(one.effect) >= 0.1 * abs(parts.difference)


def _of_mix(one: MixEffect, parts: Decomposition) -> Candidate:
    """A dimension whose values grew and shrank: the value that moved the mean most speaks for all of it."""
    return Candidate(
        PLACES[one.dimension],
        _named(one.dimension, one.value),
        dimension=one.dimension,
        share=one.effect / parts.difference,
        p=one.p,
        effect=one.effect,
        share_before=one.share_before,
        share_after=one.share_after,
        against="its share changed, not its quality",
    )
