"""`evalspan migrate`: brings a store's schema up to date, or says what that would do."""

from __future__ import annotations

from pathlib import Path

import click

from ...errors import StoreLocked
from ..atomic_write import keep_files_private
from ..store.config import Location, cluster_for, parse_dsn
from ..store.engine import open_client
from ..store.lock_file import service_of
from ..store.migrations import bring_up_to_date, lacking, migrations, pending
from ..store.presence import refuse_missing
from ..store.remote import RemoteStore
from .options import store_option


@click.command()
@store_option
@click.option("--check", is_flag=True, help="Only say what is missing; exit 1 if anything is.")
@click.option("--cluster", help="Make replicated and distributed tables on this ClickHouse cluster.  [[store] cluster]")
@click.pass_context
def migrate(ctx: click.Context, dsn: str | None, check: bool, cluster: str | None) -> None:
    """Bring the store's schema up to date. `evalspan serve` does this by itself when it starts."""
    keep_files_private()
    location = parse_dsn(dsn)
    if check:
        missing = _missing(location)
        for name in missing:
            click.echo(name)
        click.echo(f"{location.described}: {len(missing)} migrations are missing", err=True)
        ctx.exit(1 if missing else 0)
    try:
        client = open_client(location, database=None)
    except StoreLocked as error:
        error.hint = "Stop `evalspan serve` first: it brings the schema up to date when it starts."
        raise
    try:
        applied = bring_up_to_date(
            client, location.database, cluster=cluster_for(location) if cluster is None else cluster
        )
    finally:
        client.close()
    for name in applied:
        click.echo(name)
    click.echo(f"{location.described}: {len(applied)} applied, {len(migrations())} in all", err=True)


def _missing(location: Location) -> list[str]:
    """What the store lacks, asked of the running service where one owns it; nothing is made or changed."""
    refuse_missing(location)
    owner = service_of(Path(location.path)) if location.embedded else None
    if owner is not None:
        with RemoteStore(owner, shown=location.shown) as store:
            rows = store.query("SELECT number, name, checksum FROM migrations FINAL").rows
        applied = {number: (name, checksum) for number, name, checksum in rows}
        return [migration.name for migration in lacking(applied, migrations())]
    client = open_client(location, database=None)
    try:
        return [migration.name for migration in pending(client, location.database, migrations())]
    finally:
        client.close()
