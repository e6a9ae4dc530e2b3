"""`evalspan backup`, `restore`, `copy-store`: the rows of a store in a folder, back from it, and into another store."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from ...errors import StoreLocked, UsageError
from ..atomic_write import keep_files_private
from .options import store_option


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@store_option
def backup(folder: Path, dsn: str | None) -> None:
    """Write all rows of the store into a new FOLDER, also while `evalspan serve` takes spans.

    \b
    evalspan backup /backups/evalspan-2026-11-30
    evalspan restore /backups/evalspan-2026-11-30 --store chdb:///srv/evalspan
    """
    keep_files_private()
    from ..store.backup import backup as write
    from ..store.client import connect

    with connect(dsn) as store:
        manifest = write(store, folder, _progress)
    click.echo(f"{manifest.rows} rows of {store.described} in {len(manifest.files)} files", err=True)
    click.echo(str(folder))


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@store_option
def restore(folder: Path, dsn: str | None) -> None:
    """Put a backup into an empty store. Stop `evalspan serve` first, or name a new store with --store."""
    keep_files_private()
    from ..store.backup import read_manifest
    from ..store.backup import restore as read
    from ..store.client import open_store
    from ..store.config import cluster_for, parse_dsn

    read_manifest(folder)  # first: a folder that is no backup makes no store
    try:
        opened = open_store(dsn, cluster=cluster_for(parse_dsn(dsn)))
    except StoreLocked as error:
        error.hint = "Restore into a new store, --store chdb:///PATH, or stop `evalspan serve` first."
        raise
    with opened as store:
        manifest = read(store, folder, _progress)
    click.echo(f"{manifest.rows} rows of {manifest.created_at} restored into {store.described}", err=True)


@click.command("copy-store")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def copy_store(source: str, target: str) -> None:
    """Copy all rows of one store into another, embedded or a server; both are DSNs.

    \b
    evalspan copy-store chdb:///srv/evalspan https://user:password@clickhouse:8443/evalspan
    """
    keep_files_private()
    from ..store.client import connect, open_store
    from ..store.config import cluster_for, parse_dsn
    from ..store.transfer import copy_rows

    if parse_dsn(source).embedded and parse_dsn(target).embedded:
        raise UsageError(
            "One process opens one embedded store.", hint="evalspan backup FOLDER, then evalspan restore FOLDER."
        )
    copied: Counter[str] = Counter()
    with connect(source) as old, open_store(target, cluster=cluster_for(parse_dsn(target))) as new:
        for table, rows in copy_rows(old, new):
            copied[table] += rows
            _progress(table, rows)
    click.echo(f"{copied.total()} rows copied into {new.described}", err=True)


def _progress(table: str, rows: int) -> None:
    click.echo(f"{table}: {rows} rows", err=True)
