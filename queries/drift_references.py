"""What a metric is compared with: a stated reference that stays until somebody accepts a new level."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .store.client import Store
    from .store.remote import RemoteStore

_TABLE = "drift_references"
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_KEY = ("project", "metric", "service", "environment")


def references(store: Store | RemoteStore, project: str, metric: str = "") -> list[dict[str, Any]]:
    """The kept references of a project: since when each level holds (`reference_from`), when and by whom it was
    accepted, and `held_since`, from when on its scores are under suspicion (1970 where they are not)."""
    return store.query(
        "SELECT project, metric, service, environment, reference_from, accepted_at, held_since, author, note"
        " FROM drift_references WHERE project = {project:String} AND ({metric:String} = '' OR metric = {metric:String})"
        " ORDER BY metric, service, environment",
        {"project": project, "metric": metric},
    ).dicts()


def accept(
    store: Store | RemoteStore,
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


def hold(store: Store | RemoteStore, metric: str, since: datetime, **scope: str) -> None:
    """Keeps the scores since then out of the reference, as long as a change since then is neither over nor accepted."""
    _update(store, metric, since, scope, keep_older=True)


def release(store: Store | RemoteStore, metric: str, **scope: str) -> None:
    """Ends a hold: the scores are no longer under suspicion."""
    _update(store, metric, _NEVER, scope, keep_older=False)


def _update(store: Store | RemoteStore, metric: str, since: datetime, scope: dict[str, str], *, keep_older: bool) -> None:
    key = {"service": "", "environment": "", "project": "default", **scope, "metric": metric}
    found = [row for row in references(store, key["project"], metric) if all(row[name] == key[name] for name in _KEY)]
    row = found[0] if found else {**key, "reference_from": _NEVER, "accepted_at": _NEVER, "held_since": _NEVER}
    if keep_older and _NEVER < row["held_since"] <= since:
        return
    if row["held_since"] != since:
        store.insert(_TABLE, [{**row, "held_since": since}])
