"""Whether there is a store at all: whoever only reads makes none, embedded or on a server, and says which one it looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...errors import StoreError, StoreUnreachable
from .migrations import migrations

if TYPE_CHECKING:
    from .config import Location
    from .protocol import StoreClient

_OTHERS = "--store, EVALSPAN_STORE or [store] dsn name another one."


def refuse_missing(location: Location) -> None:
    """Raises StoreUnreachable where an embedded store has no directory yet."""
    if not location.embedded or Path(location.path).exists():
        return
    import chdb  # noqa: F401 - without the engine that is what is missing, not the store

    raise StoreUnreachable(
        f"There is no store yet at {location.described}.", hint=f"`evalspan serve` makes it and fills it; {_OTHERS}"
    )


def refuse_empty(store: StoreClient) -> None:
    """Raises StoreUnreachable where a server's database has no table of spans; says so when its schema is an older one.

    The tables may be another service's, seen through its SQL port: there nobody sees the migrations.
    """
    found = store.query(
        "SELECT name FROM system.tables WHERE database = {database:String} AND name IN ('spans', 'migrations')",
        {"database": store.location.database},
    ).rows
    there = {name for (name,) in found}
    if "spans" not in there:
        store.close()
        raise StoreUnreachable(
            f"There is no store yet at {store.described}.",
            hint=f"`evalspan migrate` makes its tables, and `evalspan serve` fills them; {_OTHERS}",
        )
    try:
        applied = store.query("SELECT number FROM migrations").rows if "migrations" in there else []
    except StoreError:
        return
    missing = len({one.number for one in migrations()} - {number for (number,) in applied})
    if applied and missing:
        click.echo(
            f"{store.described} has an older schema: {missing} migrations are missing, and `evalspan migrate` applies them",
            err=True,
        )
