"""`evalspan migrate`: brings a store's schema up to date, or says what that would do."""

from __future__ import annotations

import click

from ...errors import StoreLocked
from ..atomic_write import keep_files_private
from ..store.config import parse_dsn
from ..store.engine import open_client
from ..store.migrations import bring_up_to_date, migrations, pending
from .options import store_option


@click.command()
@store_option
@click.option("--check", is_flag=True, help="Only say what is missing; exit 1 if anything is.")
@click.option("--cluster", default="", help="Make replicated and distributed tables on this ClickHouse cluster.")
@click.pass_context
def migrate(ctx: click.Context, dsn: str | None, check: bool, cluster: str) -> None:
    """Bring the store's schema up to date. `evalspan serve` does this by itself when it starts."""
    keep_files_private()
    location = parse_dsn(dsn)
    try:
        client = open_client(location, database=None)
    except StoreLocked as error:
        error.hint = "Stop `evalspan serve` first: it brings the schema up to date when it starts."
        raise
    try:
        if check:
            missing = [migration.name for migration in pending(client, location.database, migrations())]
            for name in missing:
                click.echo(name)
            click.echo(f"{location.shown}: {len(missing)} migrations are missing", err=True)
            ctx.exit(1 if missing else 0)
        applied = bring_up_to_date(client, location.database, cluster=cluster)
    finally:
        client.close()
    for name in applied:
        click.echo(name)
    click.echo(f"{location.shown}: {len(applied)} applied, {len(migrations())} in all", err=True)
