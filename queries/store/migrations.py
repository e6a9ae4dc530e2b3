"""Brings a store's schema up to date: the files schema/NNN_name.sql in order, each once, held to its checksum."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ...errors import StoreError
from .cluster import cluster_of, on_cluster
from .engine import translated

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

SCHEMA = Path(__file__).parents[1] / "schema"

_RECORD = """
CREATE TABLE IF NOT EXISTS migrations
(
    number     UInt16,
    name       String,
    checksum   String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY number
"""

_MADE = re.compile(r"CREATE (?:MATERIALIZED )?VIEW IF NOT EXISTS (\w+)")
_DROPPED = re.compile(r"DROP VIEW IF EXISTS (\w+)")
_DEFINITION = re.compile(r"^-- (\$\{\w+\}) = (.+)$", re.MULTILINE)


class Migration(msgspec.Struct, frozen=True):
    """One file of the schema; its number is its place, its checksum that of the text."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file, 16 hex digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    def statements(self) -> Iterator[str]:
        """The statements, with the file's own `-- ${NAME} = text` definitions put in."""
        body = "\n".join(line for line in self.text.splitlines() if not line.startswith("--"))
        for name, meaning in reversed(_DEFINITION.findall(self.text)):
            body = body.replace(name, meaning)
        yield from (statement.strip() for statement in body.rstrip(";\n").split(";\n"))


def migrations(folder: Path = SCHEMA) -> list[Migration]:
    """The schema's files in order."""
    return [
        Migration(number=int(path.name[:3]), name=path.stem, text=path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("[0-9][0-9][0-9]_*.sql"))
    ]


def pending(client: Client, database: str, known: list[Migration]) -> list[Migration]:
    """
    The migrations that the store lacks; reads only.

    Raises:
        StoreError: the store has a migration that differs from the file, or one that this version does not know.
    """
    return lacking(_applied(client, database), known)


def lacking(applied: Mapping[int, tuple[str, str]], known: list[Migration]) -> list[Migration]:
    """The migrations that are not among those applied, number to name and checksum. Raises as `pending`."""
    by_number = {migration.number: migration for migration in known}
    for number, (name, checksum) in applied.items():
        if number not in by_number:
            raise StoreError(
                f"The store's schema has {name}, which this version of evalspan does not know.",
                hint="A newer evalspan made this store: upgrade to that one, docs/install.md says how.",
            )
        if by_number[number].checksum != checksum:
            raise StoreError(
                f"The store was made with another {name} (checksum {checksum}, here {by_number[number].checksum}).",
                hint="Use the evalspan that made the store, or a new store; nothing was changed.",
            )
    return [migration for migration in known if migration.number not in applied]


def bring_up_to_date(
    client: Client, database: str, *, cluster: str = "", known: list[Migration] | None = None
) -> list[str]:
    """
    Applies what is missing and returns the names, in order. Every statement may run twice, so a crash in the
    middle is repaired by the next start. With `cluster` the tables are replicated and distributed; those that are
    already are altered on their cluster, named here or not.

    Raises:
        StoreError: as `pending`, or as `cluster_of`.
        QueryError: the server refuses a statement.
    """
    cluster = cluster_of(client, database, cluster)
    with translated():
        everywhere = f" ON CLUSTER '{cluster}'" if cluster else ""
        client.command(f"CREATE DATABASE IF NOT EXISTS {database}{everywhere}")
        client.database = database
    _run(client, _RECORD, database, cluster)
    applied = []
    missing = pending(client, database, migrations() if known is None else known)
    short_lived = _short_lived([one for migration in missing for one in migration.statements()])
    for migration in missing:
        for statement in migration.statements():
            if statement not in short_lived:
                _run(client, statement, database, cluster)
        with translated():
            # Not client.insert: it would load pandas into every service, 45 MB and half a second for nothing.
            client.command(
                "INSERT INTO migrations (number, name, checksum)"
                " VALUES ({number:UInt16}, {name:String}, {checksum:String})",
                parameters={"number": migration.number, "name": migration.name, "checksum": migration.checksum},
            )
        applied.append(migration.name)
    return applied


def _short_lived(statements: list[str]) -> set[str]:
    """The views that a later statement drops again: no row passes through them, and to make them took a third of the
    time of a new store.
    """
    last_drop = {found[1]: place for place, one in enumerate(statements) if (found := _DROPPED.match(one))}
    return {
        one
        for place, one in enumerate(statements)
        if (found := _MADE.match(one)) and place < last_drop.get(found[1], -1)
    }


def _run(client: Client, statement: str, database: str, cluster: str) -> None:
    for step in on_cluster(statement.strip(), cluster, database) if cluster else [statement]:
        with translated(step):
            client.command(step)


def _applied(client: Client, database: str) -> dict[int, tuple[str, str]]:
    with translated():
        there = client.query(
            "SELECT count() FROM system.tables WHERE database = {database:String} AND name = 'migrations'",
            parameters={"database": database},
        )
        if not there.result_rows[0][0]:
            return {}
        rows = client.query(f"SELECT number, name, checksum FROM {database}.migrations FINAL ORDER BY number")  # noqa: S608 - checked name
        return {number: (name, checksum) for number, name, checksum in rows.result_rows}
