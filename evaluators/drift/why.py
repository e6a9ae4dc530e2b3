"""Why a metric moved: what moved since when, how much of it is mix and how much within, and which changes fit."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Hashable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UsageError
from ...queries import catalog, drift_references
from ..statistics.decomposition import Decomposition, kitagawa
from .candidates import Candidate, carriers, having, rank_candidates
from .finding import Finding, Split, mix_of, within_of
from .reference import change_begin, largest_change, metric_table
from .selection import TRAFFIC
from .units import format_difference, format_value

if TYPE_CHECKING:
    from ...queries.store.protocol import StoreClient

REFERENCE_S = 28 * 86400
MIN_SIDE = 20
DIMENSIONS = (*TRAFFIC, "model")
MAX_GROUPS = 60
TRACES = 3


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
    any, the whole period is compared, and where nothing precedes it, what lies on either side of its largest change.

    Raises:
        UsageError: there is no such metric, or a side has fewer than 20 scores.
    """
    until = until or datetime.now(UTC)
    scope = {"project": project, "service": service, "environment": environment}
    of = metric_table(store, metric, project, since, until)
    period: dict[str, Any] = {"since": since, "until": until}
    begun = changed or change_begin(store, metric, of, **{**period, **scope}) or until - since
    calls = _calls(store, metric, of, begun, until, scope)
    if changed is None and (calls["is_after"] == 0).sum() < MIN_SIDE:
        begun = largest_change(store, metric, of, **{**period, **scope}) or begun
        calls = _calls(store, metric, of, begun, until, scope)
    after = calls["is_after"].astype(bool)
    if min(after.sum(), (~after).sum()) < MIN_SIDE:
        raise UsageError(
            f"{metric} has {int((~after).sum())} scores before {begun:%Y-%m-%d %H:%M} UTC and {int(after.sum())} after.",
            hint=f"At least {MIN_SIDE} are needed on either side: choose a longer --since.",
        )
    parts = decompose(calls)
    candidates = rank_candidates(calls, parts)
    asked = {"of": of, "metric": metric, "since": begun.isoformat(), "until": until.isoformat()}
    return Finding(
        metric=metric,
        of=of,
        since=begun,
        until=until,
        before=parts.before,
        after=parts.after,
        difference=parts.difference,
        interval=parts.interval,
        p=parts.p,
        n_before=int((~after).sum()),
        n_after=int(after.sum()),
        mix=mix_of(parts),
        within=within_of(parts),
        by_dimension=_by_dimension(calls),
        candidates=candidates,
        prompt_diff=_prompt_diff(store, calls, candidates, scope, until),
        traces=_traces(store, {**asked, **scope}, calls, parts.difference < 0, next(iter(candidates), None)),
        sentences=_sentences(metric, of, begun, parts, candidates),
    )


def decompose(calls: dict[str, np.ndarray], dimensions: Sequence[str] = DIMENSIONS) -> Decomposition:
    """The Kitagawa decomposition over the dimensions (segment, topic, service, language, models that both sides use), jointly."""
    after = calls["is_after"].astype(bool)
    used = {name: values for name, values in _dimensions(calls, dimensions).items() if len(set(values.tolist())) > 1}
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


def _dimensions(calls: dict[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """The columns of the traffic; a model that only one side uses is a change of the application, so it is none."""
    after = calls["is_after"].astype(bool)
    models = set(calls["model"][after].tolist()) & set(calls["model"][~after].tolist())
    model = np.array([value if value in models else "" for value in calls["model"].tolist()], dtype=object)
    return {name: model if name == "model" else calls[name] for name in names}


def _by_dimension(calls: dict[str, np.ndarray]) -> list[Split]:
    """The decomposition over each dimension that has several values, by itself."""
    parted = {name: decompose(calls, [name]) for name in DIMENSIONS}
    return [Split(name, mix_of(one), within_of(one)) for name, one in parted.items() if len(one.mix_parts) > 1]


def _most_common(groups: list[Hashable], count: int) -> list[tuple[Hashable, int]]:
    return Counter(groups).most_common(count)


def _calls(
    store: StoreClient, metric: str, of: str, begun: datetime, until: datetime, scope: dict[str, str]
) -> dict[str, np.ndarray]:
    before_s = REFERENCE_S
    for row in drift_references.references(store, scope["project"], metric):
        if all(row[name] == scope[name] for name in ("service", "environment")) and row["reference_from"] < begun:
            before_s = min(before_s, int((begun - row["reference_from"]).total_seconds()))
    query = catalog.get("shift_calls")
    found = query.run(
        store,
        timeout_s=120,
        of=of,
        metric=metric,
        changed=begun.isoformat(),
        until=until.isoformat(),
        before_s=before_s,
        **scope,
    )
    # ClickHouse names no columns when there are no rows.
    names = found.columns or [column.name for column in query.columns]
    columns: list[Any] = list(zip(*found.rows, strict=True)) or [[] for _ in names]
    numbers = {"is_after", "score", "weight", "tool_failed", "new_documents"}
    return {
        name: np.array(values, dtype=float if name in numbers else object)
        for name, values in zip(names, columns, strict=True)
    }


def _prompt_diff(
    store: StoreClient,
    calls: dict[str, np.ndarray],
    candidates: list[Candidate],
    scope: dict[str, str],
    until: datetime,
) -> list[str]:
    """The old and the new text of the prompt that explains most, as a unified diff of lines."""
    edited = next((one for one in candidates if one.kind == "prompt"), None)
    if edited is None:
        return []
    column = "prompt" if edited.value in "\n".join(calls["prompt"].tolist()).split("\n") else "version"
    previous = _replaced(calls, column, edited.value)
    if not previous:
        return []
    texts: list[list[str]] = []
    for prompt in (previous, edited.value):
        asked = {"system_hash" if column == "prompt" else "version": prompt, "until": until.isoformat()}
        rows = catalog.get("prompt_text").run(store, timeout_s=60, **asked, **scope).dicts()
        texts.append(str(rows[0]["instructions"]).splitlines() if rows else [])
    return list(difflib.unified_diff(texts[0], texts[1], previous, edited.value, lineterm="", n=2))


def _replaced(calls: dict[str, np.ndarray], column: str, new: str) -> str:
    """The prompt of the same services that lost most of its share of the calls since the change; "" when none did."""
    after = calls["is_after"].astype(bool)
    home = set(calls["service"][having(calls, column, new).astype(bool) & after].tolist())
    at_home = np.array([service in home for service in calls["service"].tolist()])
    lost: dict[str, float] = {}
    for side, sign in ((at_home & ~after, 1.0), (at_home & after, -1.0)):
        counted = Counter(v for one in calls[column][side].tolist() for v in one.split("\n") if v and v != new)
        for value, count in counted.items():
            lost[value] = lost.get(value, 0.0) + sign * count / max(side.sum(), 1)
    best = max(lost, key=lambda value: lost[value], default="")
    return best if lost.get(best, 0.0) > 0 else ""


def _traces(
    store: StoreClient, finding: dict[str, Any], calls: dict[str, np.ndarray], fall: bool, leading: Candidate | None
) -> list[dict[str, Any]]:
    """The traces to read for the strongest candidate: the extreme scores since the change among the calls that have it."""
    only = calls["is_after"].astype(bool)
    if leading is not None:
        only &= carriers(calls, leading.kind, leading.value)
    at = np.flatnonzero(only)
    order = at[np.argsort(calls["score"][at] if fall else -calls["score"][at], kind="stable")]
    traces = list(dict.fromkeys(calls["trace_id"][order].tolist()))[:TRACES]
    direction = "decrease" if fall else "increase"
    query = catalog.get("traces_to_read")
    return query.run(store, timeout_s=60, direction=direction, count=TRACES, traces=traces, **finding).dicts()


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
        f"{number}. {one.kind} {one.value}{f' ({one.label})' if one.label else ''}: {one.share:.0%} of the difference (p {one.p:.2g}); {one.share_before:.0%} of "
        f"the calls before, {one.share_after:.0%} after" + (f"; against it: {one.against}." if one.against else ".")
        for number, one in enumerate(candidates, start=1)
    ]
    if not candidates:
        said.append("Nothing that changed in the application or its traffic explains it beyond chance.")
    return said


__all__ = ["Candidate", "Finding", "explain_shift"]
