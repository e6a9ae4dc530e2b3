"""What may have moved a metric, ranked: changes of the application and of its traffic whose timing and place fit the scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from ..statistics.decomposition import Contribution, Decomposition
from ..statistics.distributions import chi_square_p, fisher_exact_p, normal_cdf

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
TRAFFIC = ("segment", "topic", "service")
MIN_CALLS, MIN_SHARE = 10, 0.02
P_SHIFT, P_CHANGED, P_NAMED = 0.05, 0.001, 0.01
MAX_NAMED = 6
ALIKE, NEARLY, DATE_IN_DOUBT = 0.98, 0.9, 7.35


class Candidate(msgspec.Struct, frozen=True):
    """One possible cause: what it is, which part of the difference it explains, how sure, and what speaks against it.

    `label` is what people call it: of a prompt's fingerprint the name and version that the application gave it.
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


class _Feature(msgspec.Struct, frozen=True):
    kind: str
    value: str
    column: str
    calls: Any
    """1.0 for each call that has it."""
    before: float
    after: float


def rank_candidates(calls: dict[str, np.ndarray], parts: Decomposition) -> list[Candidate]:
    """The causes that the scores speak for, the largest effect first; empty when the difference may be chance.

    Changes of the application enter a weighted regression on the scores one by one, the one that fits best first, beside
    the effects of segment, topic and service and a step at the moment itself, which stands for what nobody recorded.
    `p` is that of the coefficient (sandwich error) times the number of candidates. What the change of mix of a segment,
    topic, service or model adds is that of the decomposition.
    """
    if parts.p >= P_SHIFT or parts.difference == 0:
        return []
    y, w = calls["score"].astype(float), calls["weight"].astype(float)
    after = calls["is_after"].astype(float)
    pool = _features(calls, w, after)
    chosen = _forward(y, w, after, _controls(calls), pool)
    found = [
        Candidate(
            feature.kind,
            feature.value,
            share=effect / parts.difference,
            p=p,
            effect=effect,
            share_before=feature.before,
            share_after=feature.after,
            against=_against(feature, chosen, pool, effect, parts.difference),
            label=_version_of(calls, feature) if feature.column == "prompt" else "",
        )
        for feature, effect, p in chosen
        if feature.kind
    ]
    found += _of_mix(parts, len(pool))
    return sorted(found, key=lambda one: -abs(one.effect))[:MAX_NAMED]


def _features(calls: dict[str, np.ndarray], w: np.ndarray, after: np.ndarray) -> list[_Feature]:
    """The values of the application's settings that are new or took another share, and segments that changed within."""
    found = []
    for column, kind in {**CONFIGURATION, **LATER}.items():
        flag = column in FLAGS
        values = ["1"] if flag else [v for v, _ in _counted(calls, column).most_common(30) if v]
        for value in values:
            x = calls[column].astype(float) if flag else having(calls, column, value)
            before, share = _shares(x, w, after)
            if x[after == 1].sum() >= MIN_CALLS and share - before >= MIN_SHARE and _share_p(x, after) < P_CHANGED:
                found.append(_Feature(kind, _named(column, value), column, x, before, share))
    found.append(_Feature("", "", "", after, 0.0, 1.0))
    for column in TRAFFIC:
        for value, count in Counter(calls[column].tolist()).most_common(20):
            inside = calls[column] == value
            if value and 2 * MIN_CALLS <= count < 0.95 * len(after):
                x = inside * after
                if min(x.sum(), (inside * (1 - after)).sum()) >= MIN_CALLS:
                    found.append(_Feature(column, str(value), column, x, *_shares(inside.astype(float), w, after)))
    return found


def having(calls: dict[str, np.ndarray], column: str, value: str) -> np.ndarray:
    """1.0 for each call with that value, or with it among those of its trace."""
    values = calls[column].tolist()
    found = [value in one.split("\n") for one in values] if column in SEVERAL else [one == value for one in values]
    return np.array(found, dtype=float)


def carriers(calls: dict[str, np.ndarray], kind: str, value: str) -> np.ndarray:
    """Which calls have what a candidate names."""
    found = np.zeros(len(calls["score"]), dtype=bool)
    for column, its_kind in {**CONFIGURATION, **LATER, **{name: name for name in TRAFFIC}}.items():
        if its_kind == kind:
            flag = column in FLAGS
            found |= calls[column].astype(bool) & (value == FLAGS[column]) if flag else having(calls, column, value) > 0
    return found


def _counted(calls: dict[str, np.ndarray], column: str) -> Counter[str]:
    values = calls[column].tolist()
    return Counter(v for one in values for v in one.split("\n")) if column in SEVERAL else Counter(values)


def _version_of(calls: dict[str, np.ndarray], feature: _Feature) -> str:
    """Name and version that most calls with a prompt have and few others."""
    inside = feature.calls.astype(bool)
    told = Counter(v for one in calls["version"][inside].tolist() for v in one.split("\n") if v)
    # Where one span of a call says the version alone and another with the prompt's name, the one with the name says more.
    best = max(told, key=lambda v: (told[v] - (having(calls, "version", v) * ~inside).sum(), " " in v), default="")
    return best if told[best] > 0.8 * inside.sum() and (having(calls, "version", best) * ~inside).mean() < 0.05 else ""


def _named(column: str, value: str) -> str:
    return FLAGS.get(column, str(value))


def _shares(x: np.ndarray, w: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    sides = (after == 0, after == 1)
    before, share = (float((w * x)[side].sum() / w[side].sum()) for side in sides)
    return before, share


def _share_p(x: np.ndarray, after: np.ndarray) -> float:
    table = [float(count) for side in (after == 0, after == 1) for count in (x[side].sum(), (1 - x[side]).sum())]
    return fisher_exact_p(*table) if min(table) < 5 else chi_square_p(*table)


def _controls(calls: dict[str, np.ndarray]) -> np.ndarray:
    """An intercept and the effects of the most frequent segments, topics and services."""
    columns = [np.ones(len(calls["score"]))]
    for name in TRAFFIC:
        values = [value for value, n in Counter(calls[name].tolist()).most_common(21) if n >= MIN_CALLS]
        columns += [(calls[name] == value).astype(float) for value in values[1:]]
    return np.column_stack(columns)


def _forward(
    y: np.ndarray, w: np.ndarray, after: np.ndarray, controls: np.ndarray, pool: list[_Feature]
) -> list[tuple[_Feature, float, float]]:
    """Features one by one, the best-fitting next, as long as its corrected p-value is small; with effect and p."""
    chosen: list[_Feature] = []
    left = list(pool)
    while left and len(chosen) < MAX_NAMED:
        design = np.column_stack([controls, *(one.calls for one in chosen)])
        strengths = [_fit(y, w, np.column_stack([design, one.calls]))[-1] for one in left]
        best = max(abs(b / e) if e else 0.0 for b, e in strengths)
        if min(1.0, 2 * normal_cdf(-best) * len(pool)) >= P_NAMED:
            break
        # A recorded change that fits as well as the bare moment is preferred to it, and the order of kinds to chance.
        place = next(i for i, (b, e) in enumerate(strengths) if e and _as_well(abs(b / e), best, left[i], after))
        chosen.append(left.pop(place))
    if not chosen:
        return []
    fitted = _fit(y, w, np.column_stack([controls, *(one.calls for one in chosen)]))[-len(chosen) :]
    answers = []
    for feature, (slope, error) in zip(chosen, fitted, strict=True):
        before, share = _shares(feature.calls, w, after)
        p = 2 * normal_cdf(-abs(slope / error)) if error else 1.0
        answers.append((feature, slope * (share - before), min(1.0, p * len(pool))))
    return answers


def _as_well(strength: float, best: float, feature: _Feature, after: np.ndarray) -> bool:
    """Whether a feature fits as well as the best one; nobody knows to the hour when a change of the mean began.

    A recorded change at nearly the same calls as the moment fits as well while its date lies in the 95 % confidence set of
    the moment's: twice the difference of the log-likelihoods at most 7.35.
    Source: Siegmund, Confidence sets in change-point problems, International Statistical Review 56 (1988).
    """
    if strength >= ALIKE * best:
        return True
    nearly = bool(feature.kind) and feature.column not in TRAFFIC and np.corrcoef(feature.calls, after)[0, 1] > NEARLY
    return bool(nearly and best**2 - strength**2 <= DATE_IN_DOUBT)


def _fit(y: np.ndarray, w: np.ndarray, design: np.ndarray) -> list[tuple[float, float]]:
    """Coefficient and sandwich error of every column in a weighted least-squares fit; error 0 where it cannot be told."""
    weighted = design * w[:, None]
    gram = design.T @ weighted
    inverse = np.linalg.pinv(gram, rcond=1e-10, hermitian=True)
    slope = inverse @ (weighted.T @ y)
    residual = (y - design @ slope)[:, None] * weighted
    n, k = design.shape
    variance = inverse @ (residual.T @ residual) @ inverse * n / max(n - k, 1)
    # A column that the others make up has no coefficient of its own.
    told = np.diag(inverse @ gram) > 0.999
    errors = np.sqrt(np.maximum(np.diag(variance), 0))
    return [(float(s), float(e) if ok else 0.0) for s, e, ok in zip(slope, errors, told, strict=True)]


def _against(
    feature: _Feature,
    chosen: Sequence[tuple[_Feature, float, float]],
    pool: list[_Feature],
    effect: float,
    whole: float,
) -> str:
    """What speaks against a candidate: another change at the same calls, or calls without it that moved as well."""
    twins = [
        f"{other.kind} {other.value}"
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
    return "it explains the smaller part" if abs(effect) < abs(whole) / 3 else ""


def _of_mix(parts: Decomposition, tests: int) -> list[Candidate]:
    """Groups that grew or shrank and thereby moved the mean: the largest part of each value of each dimension."""
    found: dict[tuple[str, str], list[Contribution]] = {}
    for part in parts.mix_parts:
        for dimension, value in part.group if isinstance(part.group, tuple) else ():
            found.setdefault((dimension, value), []).append(part)
    groups = max(len(parts.mix_parts), 1)
    named = []
    for (dimension, value), together in found.items():
        best = max(together, key=lambda part: abs(part.effect))
        grew = best.share_after - best.share_before
        p = min(1.0, best.p * (groups + tests))
        if value and p < P_NAMED and abs(grew) >= MIN_SHARE and abs(best.effect) >= 0.1 * abs(parts.difference):
            shares = (sum(part.share_before for part in together), sum(part.share_after for part in together))
            effect = sum(part.effect for part in together)
            named.append(
                Candidate(
                    dimension,
                    value,
                    effect / parts.difference,
                    p,
                    effect,
                    *shares,
                    "its share changed, not its quality",
                )
            )
    # Where one group grows the others shrink: the one that moved the mean most speaks for all of its dimension.
    named.sort(key=lambda one: -abs(one.effect))
    return [one for i, one in enumerate(named) if all(one.kind != other.kind for other in named[:i])]
