"""Why a metric moved: what moved since when, how much of it is mix and how much within, and which changes fit."""

from __future__ import annotations

import difflib
from collections.abc import Hashable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ...errors import UsageError
from ...queries import catalog, drift_references
from ..statistics import Interval
from ..statistics.decomposition import Contribution, Decomposition, kitagawa
from .candidates import TRAFFIC, Candidate, rank_candidates
from .reference import change_begin, metric_table
from .units import format_difference, format_value

if TYPE_CHECKING:
    from ...queries.store.protocol import StoreClient

REFERENCE_S = 28 * 86400
MIN_SIDE = 20
MAX_GROUPS = 60


class Part(msgspec.Struct, frozen=True):
    """What one group adds: the values that make it up, its effect with interval, its shares and means."""

    group: dict[str, str]
    effect: float
    interval: Interval
    share_before: float
    share_after: float
    mean_before: float
    mean_after: float


class Effect(msgspec.Struct, frozen=True):
    """One side of the decomposition, with the groups' parts, the largest first; they add up to the effect."""

    effect: float
    interval: Interval
    parts: list[Part]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Why a metric moved. Means are in the unit of the stored scores: logarithms of milliseconds for latencies."""

    metric: str
    since: datetime
    until: datetime
    before: float
    after: float
    difference: float
    interval: Interval
    p: float
    n_before: int
    n_after: int
    mix: Effect
    within: Effect
    candidates: list[Candidate]
    prompt_diff: list[str]
    traces: list[dict[str, Any]]
    sentences: list[str]


def explain_shift(
    store: StoreClient,
    metric: str,
    *,
    project: str = "default",
    service: str = "",
    environment: str = "",
    since: timedelta = timedelta(days=7),
    until: datetime | None = None,
    changed: datetime | None = None,
) -> Finding:
    """Compares the calls since a change with those of the 28 days before it, and says what explains the difference.

    The change is `changed`, else the one under suspicion, else what the e-detector finds in the last `since`; without
    any, the whole period is compared.

    Raises:
        UsageError: there is no such metric, or a side has fewer than 20 scores.
    """
    until = until or datetime.now(UTC)
    scope = {"project": project, "service": service, "environment": environment}
    of = metric_table(store, metric, project, since, until)
    begun = changed or change_begin(store, metric, of, since=since, until=until, **scope) or until - since
    calls = _calls(store, metric, of, begun, until, scope)
    after = calls["is_after"].astype(bool)
    if min(after.sum(), (~after).sum()) < MIN_SIDE:
        raise UsageError(
            f"{metric} has {int((~after).sum())} scores before {begun:%Y-%m-%d %H:%M} UTC and {int(after.sum())} after.",
            hint=f"At least {MIN_SIDE} are needed on either side: choose a longer --since.",
        )
    parts = decompose(calls)
    candidates = rank_candidates(calls, parts)
    return Finding(
        metric=metric,
        since=begun,
        until=until,
        before=parts.before,
        after=parts.after,
        difference=parts.difference,
        interval=parts.interval,
        p=parts.p,
        n_before=int((~after).sum()),
        n_after=int(after.sum()),
        mix=Effect(parts.mix, parts.mix_interval, [_part(one) for one in parts.mix_parts]),
        within=Effect(parts.within, parts.within_interval, [_part(one) for one in parts.within_parts]),
        candidates=candidates,
        prompt_diff=_prompt_diff(store, calls, candidates, scope, until),
        traces=_traces(store, metric, of, begun, until, parts.difference, candidates, scope),
        sentences=_sentences(metric, of, begun, parts, candidates),
    )


def decompose(calls: dict[str, np.ndarray]) -> Decomposition:
    """The Kitagawa decomposition over segment, topic, service and the models that both sides use, jointly."""
    after = calls["is_after"].astype(bool)
    models = set(calls["model"][after].tolist()) & set(calls["model"][~after].tolist())
    # A model that only one side uses is a change of the application, not of its traffic.
    model = np.array([value if value in models else "" for value in calls["model"].tolist()], dtype=object)
    named = {**{name: calls[name] for name in TRAFFIC}, "model": model}
    used = {name: values for name, values in named.items() if len(set(values.tolist())) > 1}
    groups: list[Hashable] = [
        tuple((name, str(value)) for name, value in zip(used, row, strict=True))
        for row in zip(*used.values(), strict=True)
    ] or [()] * len(after)
    if len(set(groups)) > MAX_GROUPS:
        frequent = {group for group, _ in _most_common(groups, MAX_GROUPS)}
        groups = [group if group in frequent else () for group in groups]
    after_list = after.tolist()
    old = [g for g, late in zip(groups, after_list, strict=True) if not late]
    new = [g for g, late in zip(groups, after_list, strict=True) if late]
    y, w = calls["score"], calls["weight"]
    return kitagawa(y[~after], y[after], old, new, before_weights=w[~after], after_weights=w[after])


def _most_common(groups: list[Hashable], count: int) -> list[tuple[Hashable, int]]:
    from collections import Counter

    return Counter(groups).most_common(count)


def _calls(
    store: StoreClient, metric: str, of: str, begun: datetime, until: datetime, scope: dict[str, str]
) -> dict[str, np.ndarray]:
    before_s = REFERENCE_S
    for row in drift_references.references(store, scope["project"], metric):
        if all(row[name] == scope[name] for name in ("service", "environment")) and row["reference_from"] < begun:
            before_s = min(before_s, int((begun - row["reference_from"]).total_seconds()))
    found = catalog.get("shift_calls").run(
        store,
        timeout_s=120,
        of=of,
        metric=metric,
        changed=begun.isoformat(),
        until=until.isoformat(),
        before_s=before_s,
        **scope,
    )
    columns: list[Any] = list(zip(*found.rows, strict=True)) or [[] for _ in found.columns]
    numbers = {"is_after", "score", "weight", "tool_failed", "new_documents"}
    return {
        name: np.array(values, dtype=float if name in numbers else object)
        for name, values in zip(found.columns, columns, strict=True)
    }


def _part(one: Contribution) -> Part:
    group = dict(one.group) if isinstance(one.group, tuple) else {}
    return Part(group, one.effect, one.interval, one.share_before, one.share_after, one.mean_before, one.mean_after)


def _prompt_diff(
    store: StoreClient,
    calls: dict[str, np.ndarray],
    candidates: list[Candidate],
    scope: dict[str, str],
    until: datetime,
) -> list[str]:
    """The old and the new text of the prompt that explains most, as a unified diff of lines."""
    new = next((one.value for one in candidates if one.kind == "prompt"), "")
    if not new:
        return []
    after = calls["is_after"].astype(bool)
    home = set(calls["service"][(calls["prompt"] == new) & after].tolist())
    old = [
        prompt
        for prompt, at_home in zip(calls["prompt"][~after].tolist(), calls["service"][~after].tolist(), strict=True)
        if prompt and prompt != new and at_home in home
    ]
    if not old:
        return []
    previous = str(_most_common(list(old), 1)[0][0])
    texts: list[list[str]] = []
    for prompt in (previous, new):
        rows = (
            catalog.get("prompt_text")
            .run(store, timeout_s=60, system_hash=prompt, until=until.isoformat(), **scope)
            .dicts()
        )
        texts.append(str(rows[0]["instructions"]).splitlines() if rows else [])
    return list(difflib.unified_diff(texts[0], texts[1], previous, new, lineterm="", n=2))


def _traces(
    store: StoreClient,
    metric: str,
    of: str,
    begun: datetime,
    until: datetime,
    difference: float,
    candidates: list[Candidate],
    scope: dict[str, str],
) -> list[dict[str, Any]]:
    """Three traces to read for the strongest candidate."""
    only = {"prompt": "system_hash", "segment": "segment"}
    leading = next((one for one in candidates if one.kind in only), None)
    narrowed: dict[str, Any] = {only[leading.kind]: leading.value} if leading else {}
    rows = catalog.get("traces_to_read").run(
        store,
        timeout_s=60,
        of=of,
        metric=metric,
        direction="decrease" if difference < 0 else "increase",
        since=begun.isoformat(),
        until=until.isoformat(),
        count=3,
        **narrowed,
        **scope,
    )
    return rows.dicts()


def _sentences(metric: str, of: str, begun: datetime, parts: Decomposition, candidates: list[Candidate]) -> list[str]:
    """The finding as a person would say it."""

    def change(value: float) -> str:
        return format_difference(of, metric, value)

    verb = "fell" if parts.difference < 0 else "rose"
    before, after = (format_value(of, metric, value) for value in (parts.before, parts.after))
    said = [
        (
            f"{metric} {verb} from {before} to {after} since {begun:%Y-%m-%d %H:%M} UTC: {change(parts.difference)}, "
            f"95 % interval {change(parts.interval.low)} to {change(parts.interval.high)}."
        ),
        f"Of this {change(parts.mix)} is a change of mix and {change(parts.within)} a change within the groups.",
    ]
    said += [
        f"{number}. {one.kind} {one.value}: {one.share:.0%} of the difference (p {one.p:.2g}); {one.share_before:.0%} of "
        f"the calls before, {one.share_after:.0%} after" + (f"; against it: {one.against}." if one.against else ".")
        for number, one in enumerate(candidates, start=1)
    ]
    if not candidates:
        said.append("Nothing that changed in the application or its traffic explains it beyond chance.")
    return said


__all__ = ["Candidate", "Finding", "explain_shift"]
