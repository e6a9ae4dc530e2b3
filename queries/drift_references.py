"""What a metric is compared with: a stated reference that stays until somebody accepts a new level."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .store.protocol import StoreClient

MAX_EXCLUDED = 100
_TABLE = "drift_references"
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_KEY = ("project", "metric", "service", "environment")


def references(store: StoreClient, project: str, metric: str = "") -> list[dict[str, Any]]:
    """The kept references of a project: since when each level holds (`reference_from`), when and by whom it was
    accepted, and `held_since`, from when on its scores are under suspicion (1970 where they are not).
    """
    return store.query(
        "SELECT project, metric, service, environment, reference_from, accepted_at, held_since, excluded_from, excluded_until, author, note"
        " FROM drift_references WHERE project = {project:String} AND ({metric:String} = '' OR metric = {metric:String})"
        " ORDER BY metric, service, environment",
        {"project": project, "metric": metric},
    ).dicts()


def release_begin(
    store: StoreClient, release: str, *, project: str, service: str = "", environment: str = ""
) -> datetime | None:
    """When the first call of a release (`service.version`) came, as far back as spans are kept; None for an unknown one."""
    ((calls, first),) = store.query(
        "SELECT count(), min(start_time) FROM spans WHERE project = {project:String} AND resource['service.version'] = {release:String}"
        " AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})",
        {"project": project, "release": release, "service": service, "environment": environment},
    ).rows
    return first if calls else None


def newest_releases(store: StoreClient, project: str, count: int = 5) -> list[str]:
    """The releases whose first calls are the newest."""
    rows = store.query(
        "SELECT resource['service.version'] AS release FROM spans WHERE project = {project:String} AND release != ''"
        " GROUP BY release ORDER BY min(start_time) DESC LIMIT {count:UInt32}",
        {"project": project, "count": count},
    ).rows
    return [str(release) for (release,) in rows]


def accept(
    store: StoreClient,
    metric: str,
    since: datetime,
    *,
    project: str = "default",
    service: str = "",
    environment: str = "",
    author: str = "",
    note: str = "",
    now: datetime | None = None,
) -> None:
    """Makes the level since then the reference: what was before is compared with no more, and suspicion ends."""
    scope = {"project": project, "metric": metric, "service": service, "environment": environment}
    accepted = {"reference_from": since, "accepted_at": now or datetime.now(UTC), "held_since": _NEVER}
    store.insert(_TABLE, [{**scope, **accepted, "author": author, "note": note}])


def hold(store: StoreClient, metric: str, since: datetime, **scope: str) -> None:
    """Keeps the scores since then out of the reference, as long as a change since then is neither over nor accepted."""
    row = _reference(store, metric, scope)
    if not _NEVER < row["held_since"] <= since:
        store.insert(_TABLE, [{**row, "held_since": since}])


def release(store: StoreClient, metric: str, until: datetime, **scope: str) -> None:
    """Ends a hold, because the change is over: what was scored from its begin until then never becomes reference."""
    row = _reference(store, metric, scope)
    if row["held_since"] == _NEVER:
        return
    spans = [*zip(row["excluded_from"], row["excluded_until"], strict=True), (row["held_since"], until)][-MAX_EXCLUDED:]
    excluded = {"excluded_from": [a for a, _ in spans], "excluded_until": [b for _, b in spans]}
    store.insert(_TABLE, [{**row, **excluded, "held_since": _NEVER}])


def _reference(store: StoreClient, metric: str, scope: dict[str, str]) -> dict[str, Any]:
    key = {"service": "", "environment": "", "project": "default", **scope, "metric": metric}
    empty = {"reference_from": _NEVER, "accepted_at": _NEVER, "held_since": _NEVER}
    found = references(store, key["project"], metric)
    same = (row for row in found if all(row[name] == key[name] for name in _KEY))
    return next(same, {**key, **empty, "excluded_from": [], "excluded_until": []})
