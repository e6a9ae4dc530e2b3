"""Drift for people: runs the drift queries and says what moved, since when, how sure, where, and what changed then."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import UsageError
from ...queries import catalog
from ...queries.drift_extent import Extent, extent
from .inputs import inputs_that_moved
from .notes import bounding, kept_references, reference_notes, version_notes
from .reference import USAGE

if TYPE_CHECKING:
    from ...queries.store.protocol import StoreClient

DIMENSIONS = ("system_hash", "prompt_version", "request_model", "segment", "service", "environment", "prompt_name")
MIN_SCORES = 10
MIX_ALONE = "the mix of segments, services, models, topics or lengths moved, not the quality within them"
REFERENCE_S, WEEK_S = 28 * 86400, 7 * 86400
# A window should hold about this many scores for the detector's normal approximation.
WINDOW_SCORES = 20
WINDOWS_S = (900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400)


class MetricShift(msgspec.Struct, frozen=True, kw_only=True):
    """One score that is not where it was; differences in the unit of the score, after minus before."""

    metric: str
    evaluator_version: str
    direction: str
    mean_before: float
    mean_after: float
    low: float
    high: float
    n_before: int
    n_after: int
    since: datetime | None
    found_by: str
    certainty: str
    of: str = "evaluations"
    dimension: str = ""
    value: str = ""
    traces: list[dict[str, Any]] = []


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict ("drift", "stable" or "insufficient_data") with everything behind it; times in UTC."""

    verdict: str
    since: datetime
    until: datetime
    baseline_from: datetime
    window_s: int
    moves: list[MetricShift]
    changes: list[dict[str, Any]]
    inputs: list[str]
    scores: list[dict[str, Any]]
    thin: list[str]
    notes: list[str]


class _Known(msgspec.Struct, frozen=True):
    """What was learned before the detectors are asked: what there is to explain a difference by, and which references are kept."""

    extent: Extent
    kept: list[dict[str, Any]]
    bounds: list[dict[str, Any]]


class _Period(msgspec.Struct, frozen=True):
    since_s: int
    until: datetime
    metric: str
    scope: dict[str, Any]
    """project, service and environment."""
    baseline_s: int
    """Length of the reference; 28 days, or as long as the period where that is longer or all there is."""

    @property
    def since(self) -> datetime:
        return self.until - timedelta(seconds=self.since_s)

    @property
    def begun(self) -> datetime:
        return self.since - timedelta(seconds=self.baseline_s)

    def parameters(self) -> dict[str, Any]:
        return {**self.scope, "since_s": self.since_s, "until": self.until.isoformat(), "baseline_s": self.baseline_s}


def find_drift(
    store: StoreClient,
    *,
    project: str = "default",
    service: str = "",
    environment: str = "",
    metric: str = "",
    by: str = "",
    since: timedelta = timedelta(days=7),
    until: datetime | None = None,
    alpha: float = 0.05,
    usage: bool = False,
) -> DriftReport:
    """Compares the scores of the last `since`, with `usage` errors, latency, tokens and cost too, with the 28 days before.

    A level that was accepted, and a change that is under suspicion, bound that reference (`evalspan drift accept`).

    The looks at the data share `alpha`: the e-detector over windows of the scores (shared among the metrics), the same
    over those of usage, and one corrected comparison of the values of every dimension. Where there is nothing
    before the period, the first half of what there is serves as the baseline, and the report says so.

    Raises:
        UsageError: an unknown metric or dimension.
    """
    if by and by not in DIMENSIONS:
        raise UsageError(f"Scores cannot be split by {by!r}.", hint=f"Choose one of {', '.join(DIMENSIONS)}.")
    scope = {"project": project, "service": service, "environment": environment}
    since_s = int(since.total_seconds())
    period = _Period(since_s, until or datetime.now(UTC), metric, scope, max(since_s, REFERENCE_S))
    volume = _volumes(store, period, usage=usage)
    tables = list(volume)
    notes: list[str] = []
    leading = volume[tables[0]] or volume[tables[-1]]
    if not any(row["n_before"] >= MIN_SCORES for row in leading):
        halved = _halved(leading, period)
        if halved is not None:
            period = halved
            volume = {of: _volume(store, period, of) for of in tables}
            notes.append("There is nothing before the period, so its first half is the baseline.")
    enough = {of: [row for row in rows if _is_enough(row)] for of, rows in volume.items()}
    window_s = _window(enough[tables[0]] or enough[tables[-1]], period.since_s)
    seen = extent(store, **scope, metric=metric, begun=period.begun, until=period.until)
    kept = kept_references(store, scope, metric)
    known = _Known(seen, kept, bounding(kept, period.begun))
    moves = _found(store, period, window_s, enough, alpha, [by] if by else ["system_hash", "segment"], known)
    return DriftReport(
        verdict="drift" if moves else "stable" if enough[tables[0]] else "insufficient_data",
        since=period.since,
        until=period.until,
        baseline_from=period.begun,
        window_s=window_s,
        moves=moves,
        changes=_rows(store, "changes", msgspec.structs.replace(period, baseline_s=max(period.since_s, WEEK_S)))
        if seen.has_calls
        else [],
        inputs=inputs_that_moved(store, {**period.parameters(), "baseline_s": period.since_s}, seen),
        scores=[row for rows in volume.values() for row in rows],
        thin=[str(row["metric"]) for rows in volume.values() for row in rows if not _is_enough(row)],
        notes=notes + version_notes(volume[tables[0]]) + reference_notes(known.bounds),
    )


def _is_enough(row: Mapping[str, Any]) -> bool:
    return bool(min(row["n_before"], row["n_after"]) >= MIN_SCORES)


def _found(
    store: StoreClient,
    period: _Period,
    window_s: int,
    enough: dict[str, list[dict[str, Any]]],
    alpha: float,
    dimensions: Sequence[str],
    known: _Known,
) -> list[MetricShift]:
    """What the detector finds in each table, and what the comparison of the dimensions' values finds in the first."""
    leading = next(iter(enough))
    # Where all scores have one value, that value is the whole, which the detector watches however often it is looked at;
    # only of less than a week the comparison with the same days of the week tells more, each time anew: at half the price.
    several = [name for name in dimensions if leading == "usage" or known.extent.only[name] is None]
    compared = several or (dimensions[:1] if period.since_s < WEEK_S else [])
    share = alpha / (len(enough) + bool(compared))
    q = share if several else share / 2
    moves: list[MetricShift] = []
    for of, rows in enough.items():
        if rows:
            moves += _found_by_detector(store, period, window_s, share / len(rows), of, known)
    if enough[leading] and compared:
        weeks = min(row["first_score"] for row in enough[leading]) <= period.since - timedelta(
            seconds=WEEK_S - period.since_s
        )
        like_with_like = weeks and period.since_s < WEEK_S < period.baseline_s
        moves += _found_by_dimension(store, period, compared, q, leading, known, like_with_like=like_with_like)
    return _with_traces(store, period, _deduplicate(moves))


def _volumes(store: StoreClient, period: _Period, *, usage: bool) -> dict[str, list[dict[str, Any]]]:
    """How many scores there are, by where the metric is found: evaluations before usage when all are asked for.

    Raises:
        UsageError: the metric is nowhere.
    """
    if not period.metric:
        return {of: _volume(store, period, of) for of in (["evaluations", "usage"] if usage else ["evaluations"])}
    scores = _rows(store, "score_volume", period)
    named = [row for row in scores if row["metric"] == period.metric]
    if named:
        return {"evaluations": named}
    if period.metric in USAGE:
        return {"usage": _volume(store, period, "usage")}
    if scores:
        names = ", ".join([*sorted({str(row["metric"]) for row in scores}), *USAGE])
        raise UsageError(f"No score is named {period.metric!r}.", hint=f"There are: {names}.")
    return {"evaluations": []}


def _volume(store: StoreClient, period: _Period, of: str) -> list[dict[str, Any]]:
    return _rows(store, "score_volume", period, of=of, metric=period.metric)


def _rows(store: StoreClient, name: str, period: _Period, **parameters: Any) -> list[dict[str, Any]]:
    return catalog.get(name).run(store, timeout_s=120, **period.parameters(), **parameters).dicts()


def _halved(volume: Sequence[dict[str, Any]], period: _Period) -> _Period | None:
    """The two halves of what there is, when all of it lies inside the period."""
    if not any(row["n_after"] >= 2 * MIN_SCORES for row in volume):
        return None
    first = min(row["first_score"] for row in volume if row["n_after"])
    last = max(row["last_score"] for row in volume if row["n_after"]) + timedelta(seconds=1)
    half = int((last - first).total_seconds() / 2) + 1
    return msgspec.structs.replace(period, since_s=half, until=last, baseline_s=half)


def _window(enough: Sequence[dict[str, Any]], since_s: int) -> int:
    """The shortest window that holds enough scores of the typical metric, at least four windows a period."""
    sizes = sorted(int(row["n_after"]) for row in enough) or [0]
    typical = sizes[len(sizes) // 2]
    fitting = [size for size in WINDOWS_S if since_s / 200 <= size <= since_s / 4] or [max(1, since_s // 4)]
    return next((size for size in fitting if typical * size / since_s >= WINDOW_SCORES), fitting[-1])


def _found_by_detector(
    store: StoreClient, period: _Period, window_s: int, alpha: float, of: str, known: _Known
) -> list[MetricShift]:
    """What moved within the groups of the traffic, and what moved only because their mix did; half of `alpha` each.

    What calls cost has no mix to be taken out: dearer models and longer inputs are what is looked for.
    """
    if of == "usage":
        return _alarming(store, period, window_s, alpha, of, adjust=0)
    if not known.extent.has_mix and not known.kept:
        # With nothing to be taken out both are one; a kept reference may begin before what was looked at.
        return _alarming(store, period, window_s, alpha, of, adjust=0)
    within = _alarming(store, period, window_s, alpha / 2, of, adjust=1)
    told = {(move.metric, move.direction) for move in within}
    return within + [
        msgspec.structs.replace(move, found_by="mix", certainty=f"{move.certainty}; {MIX_ALONE}")
        for move in _alarming(store, period, window_s, alpha / 2, of, adjust=0)
        if (move.metric, move.direction) not in told
    ]


def _alarming(
    store: StoreClient, period: _Period, window_s: int, alpha: float, of: str, *, adjust: int
) -> list[MetricShift]:
    horizon = -(-period.since_s // window_s)
    asked = {"metric": period.metric, "window_s": window_s, "alpha": alpha, "horizon": horizon, "min_n": 5}
    rows = _rows(store, "e_detector", period, of=of, adjust=adjust, **asked)
    return [
        _move_of_windows([row for row in rows if row["metric"] == name], alpha, of)
        for name in dict.fromkeys(row["metric"] for row in rows if row["alarm"])
    ]


def _move_of_windows(windows: list[dict[str, Any]], alpha: float, of: str) -> MetricShift:
    alarmed = next(row for row in windows if row["alarm"])
    after = [row for row in windows if row["window_start"] >= alarmed["since"]]
    # By what the windows hold, not by how sure each is: one in which all scores are equal has no spread to be weighed by.
    total = sum(row["effective_n"] for row in after)
    lowest, highest = (0.0, 1.0) if alarmed["on_unit"] else (-math.inf, math.inf)
    # What the season is taken out of may lie a little beyond the scale.
    mean = min(highest, max(lowest, sum(row["effective_n"] * row["mean"] for row in after) / total))
    error = sum((row["effective_n"] * row["standard_error"]) ** 2 for row in after) ** 0.5 / total
    return MetricShift(
        metric=alarmed["metric"],
        evaluator_version=alarmed["evaluator_version"],
        of=of,
        direction=alarmed["alarm"],
        mean_before=alarmed["mean_before"],
        mean_after=mean,
        low=max(lowest, mean - 1.96 * error),
        high=min(highest, mean + 1.96 * error),
        n_before=int(alarmed["baseline_n"]),
        n_after=sum(int(row["n"]) for row in after),
        since=alarmed["since"],
        found_by="e-detector",
        certainty=f"evidence {max(row['statistic'] for row in windows):.3g}, alarm from {alarmed['threshold']:.3g} on "
        f"(a false alarm within these windows has a probability of at most {alpha:.2g})",
    )


def _found_by_dimension(
    store: StoreClient,
    period: _Period,
    dimensions: Sequence[str],
    q: float,
    of: str,
    known: _Known,
    *,
    like_with_like: bool,
) -> list[MetricShift]:
    """The values of the dimensions that moved, of metrics whose reference no accepted or suspected change bounds."""
    bounded = {str(row["metric"]) for row in known.bounds}
    return [
        MetricShift(
            metric=row["metric"],
            evaluator_version=row["evaluator_version"],
            of=of,
            direction="decrease" if row["difference"] < 0 else "increase",
            mean_before=row["mean_before"],
            mean_after=row["mean"],
            low=row["low"],
            high=row["high"],
            n_before=int(row["n_before"]),
            n_after=int(row["n"]),
            since=None,
            found_by="comparison",
            certainty=f"p {row['p_adjusted']:.2g} after correction for all comparisons",
            dimension=dimension,
            value=row["value"],
        )
        for dimension in dimensions
        for row in _rows(
            store,
            "segments",
            period,
            of=of,
            metric=period.metric,
            by=dimension,
            q=q / len(dimensions),
            same_weekday=int(like_with_like),
        )
        if row["moved"] and row["metric"] not in bounded
    ]


def _deduplicate(moves: Sequence[MetricShift]) -> list[MetricShift]:
    """Without comparisons of the whole under another name: one value that holds everything the detector saw."""
    told: list[MetricShift] = []
    for move in moves:
        same = [other for other in told if other.metric == move.metric and other.direction == move.direction]
        if move.dimension and not move.value and same:
            continue
        if any(
            other.dimension and other.n_after == move.n_after and other.mean_after == move.mean_after for other in same
        ):
            continue
        told.append(move)
    return told


def _with_traces(store: StoreClient, period: _Period, moves: Sequence[MetricShift]) -> list[MetricShift]:
    """Each finding with the five traces to read first; what was found twice shows them once."""
    shown: set[tuple[str, str]] = set()
    told = []
    for move in moves:
        if (move.metric, move.direction) in shown:
            told.append(move)
            continue
        shown.add((move.metric, move.direction))
        since = move.since or period.since
        only: dict[str, Any] = {move.dimension: move.value} if move.dimension in ("system_hash", "segment") else {}
        query = catalog.get("traces_to_read")
        rows = query.run(
            store,
            **period.scope,
            of=move.of,
            metric=move.metric,
            direction=move.direction,
            since=since.isoformat(),
            until=period.until.isoformat(),
            **only,
        )
        told.append(msgspec.structs.replace(move, traces=rows.dicts()))
    return told
