"""How long rows stay: whole partitions are dropped, which costs nothing, once all that is in them is old."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from .config import RetentionConfig

if TYPE_CHECKING:
    from .client import Store

# table -> the column that partitions it, the one that says when a row came in, and how a partition is named
_TABLES = {"spans": ("start_time", "ingested_at", "%Y%m%d"), "evaluations": ("span_time", "created_at", "%Y%m")}


EPOCH_YEAR = 1970
_CLOCK = "retention/clock"


class Dropped(msgspec.Struct, frozen=True):
    """A partition that is gone."""

    table: str
    partition: str
    rows: int


def drop_old(store: Store, config: RetentionConfig, *, now: datetime | None = None) -> list[Dropped]:
    """
    Drops the partitions of spans and evaluations that are older than the configured days; 0 days keeps all.

    A partition goes when its last moment and the arrival of everything in it are both that old: what a wrong clock or
    a backfill put into the past stays as long as the rest. Raises QueryError, StoreUnreachable.
    """
    today = now or datetime.now(UTC)
    dropped = []
    for table, days in (("spans", config.spans_days), ("evaluations", config.evaluations_days)):
        if days > 0:
            dropped += _drop(store, table, today - timedelta(days=days))
    return dropped


def _drop(store: Store, table: str, before: datetime) -> list[Dropped]:
    time, arrival, naming = _TABLES[table]
    found = store.query(
        f"SELECT _partition_id, count() FROM {table} WHERE _partition_id <= {{newest:String}} GROUP BY 1"  # noqa: S608 - own names
        f" HAVING max({time}) < {{before:DateTime64(3)}} AND max({arrival}) < {{before:DateTime64(3)}} ORDER BY 1"
        " SETTINGS final = 0",
        {"newest": before.strftime(naming), "before": before},
    )
    for partition, _ in found.rows:
        store.alter(table, f"DROP PARTITION ID '{partition}'")
    return [Dropped(table, partition, rows) for partition, rows in found.rows]


def newest_moment(store: Store) -> tuple[datetime | None, datetime | None]:
    """
    The moment that retention went by last, and since when a clock that jumped is watched; None where there is none.

    Before it ever went by one: the newest arrival of a span. Raises QueryError, StoreUnreachable.
    """
    saved = store.query(
        "SELECT position, toDateTime64(JSONExtractString(position_key, 'watched_since'), 3, 'UTC') FROM cursors"
        " WHERE consumer = {consumer:String} ORDER BY version DESC LIMIT 1",
        {"consumer": _CLOCK},
    ).rows
    if saved:
        return saved[0][0], saved[0][1] if saved[0][1].year > EPOCH_YEAR else None
    ((rows, newest),) = store.query("SELECT count(), max(ingested_at) FROM spans SETTINGS final = 0").rows
    return (newest if rows else None), None


def save_moment(store: Store, moment: datetime, watched_since: datetime | None) -> None:
    """Keeps what `newest_moment` gives. Raises QueryError, StoreUnreachable."""
    ((newest,),) = store.query(
        "SELECT max(version) FROM cursors WHERE consumer = {consumer:String}", {"consumer": _CLOCK}
    ).rows
    row = {
        "project": "default",
        "consumer": _CLOCK,
        "position": moment,
        "position_key": {"watched_since": f"{watched_since or datetime.fromtimestamp(0, UTC):%Y-%m-%d %H:%M:%S}"},
        "version": max(time.time_ns() // 1000, int(newest) + 1),  # the clock may have gone back
    }
    store.insert("cursors", [row])
