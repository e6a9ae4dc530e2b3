"""Accepting a change: the level that a metric has now becomes what it is compared with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ...queries import catalog, drift_references
from .change_point import change_point

if TYPE_CHECKING:
    from ...queries.store.protocol import StoreClient

USAGE = ("error_rate", "latency", "ttft", "cost", "input_tokens", "output_tokens")
"""The metrics of the table `usage`: what calls cost their users."""
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def accept_level(
    store: StoreClient,
    metric: str,
    *,
    project: str = "default",
    service: str = "",
    environment: str = "",
    since: timedelta = timedelta(days=7),
    begun: datetime | None = None,
    release: str = "",
    author: str = "",
    note: str = "",
    now: datetime | None = None,
) -> datetime:
    """Makes the level since `begun`, or since the first call of `release`, the reference of a metric; returns since when.

    Without either that is the begin of the change under suspicion, else of the one that the e-detector finds in the
    last `since`, else of that period.

    Raises:
        UsageError: there is no such metric or release, or `begun` lies in the future.
    """
    now = now or datetime.now(UTC)
    scope = {"project": project, "service": service, "environment": environment}
    if release:
        begun = drift_references.release_begin(store, release, **scope)
        if begun is None:
            known = ", ".join(drift_references.newest_releases(store, project)) or "none"
            raise UsageError(f"No call is of the release {release!r}.", hint=f"The newest `service.version`s: {known}.")
    if begun is not None and begun >= now:
        raise UsageError(
            f"{begun:%Y-%m-%d %H:%M} UTC is not in the past.", hint="Give the time since when the level holds."
        )
    of = metric_table(store, metric, project, since, now)
    level = begun or change_begin(store, metric, of, since=since, until=now, **scope) or now - since
    drift_references.accept(store, metric, level, author=author, note=note, now=now, **scope)
    return level


def metric_table(store: StoreClient, metric: str, project: str, since: timedelta, until: datetime) -> str:
    """`evaluations` or `usage`, wherever the metric is. Raises UsageError when it is nowhere."""
    period = {"project": project, "since_s": int(since.total_seconds()), "until": until.isoformat()}
    rows = catalog.get("score_volume").run(store, timeout_s=120, baseline_s=28 * 86400, **period).dicts()
    known = sorted({str(row["metric"]) for row in rows})
    if metric in known:
        return "evaluations"
    if metric in USAGE:
        return "usage"
    raise UsageError(f"No score is named {metric!r}.", hint=f"There are: {', '.join([*known, *USAGE])}.")


def change_begin(
    store: StoreClient, metric: str, of: str, *, since: timedelta, until: datetime, **scope: str
) -> datetime | None:
    """Since when the metric has been elsewhere: the begin of the suspicion, or what the e-detector finds; else None."""
    for row in drift_references.references(store, scope["project"], metric):
        if all(row[name] == scope[name] for name in ("service", "environment")) and row["held_since"] > _NEVER:
            begun: datetime = row["held_since"]
            return begun
    for adjust in (0,) if of == "usage" else (1, 0):  # within the groups of the traffic, else a change of their mix
        windows = detector_windows(store, metric, of, adjust, since=since, until=until, **scope)
        for row in windows:
            if row["alarm"]:
                found: datetime = row["since"]
                return found
    return None


def largest_change(
    store: StoreClient, metric: str, of: str, *, since: timedelta, until: datetime, **scope: str
) -> datetime | None:
    """When the mean changed most within a period, to a sixtieth of it; None for too few scores. For periods without a reference."""
    asked = {"since_s": int(since.total_seconds()), "window_s": max(60, int(since.total_seconds()) // 60)}
    query = catalog.get("score_trend")
    rows = query.run(store, timeout_s=120, metric=metric, of=of, until=until.isoformat(), **asked, **scope).dicts()
    newest = rows[-1]["evaluator_version"] if rows else ""
    told = [row for row in rows if row["n"] and row["mean"] is not None and row["evaluator_version"] == newest]
    found = change_point([row["mean"] for row in told], [float(row["n"]) for row in told])
    return told[found.index]["window_start"] if found else None


def detector_windows(
    store: StoreClient, metric: str, of: str, adjust: int, *, since: timedelta, until: datetime, **scope: str
) -> list[dict[str, Any]]:
    """The e-detector's windows of one metric, a twenty-eighth of the period each, an hour at least."""
    since_s = int(since.total_seconds())
    window_s = max(3600, since_s // 28)
    return (
        catalog.get("e_detector")
        .run(
            store,
            timeout_s=120,
            metric=metric,
            of=of,
            adjust=adjust,
            since_s=since_s,
            until=until.isoformat(),
            window_s=window_s,
            horizon=-(-since_s // window_s),
            **scope,
        )
        .dicts()
    )
