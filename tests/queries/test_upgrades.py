"""Upgrades from every schema that there ever was keep every row; going back is a backup that the older version restores."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from evalspan.queries.store.client import Store
from evalspan.queries.store.engine import open_client
from evalspan.queries.store.migrations import bring_up_to_date, migrations

# What random values may not decide: whether a row is deleted, and in which of thousands of partitions it lies.
FIXED = {"is_deleted": "0", "start_time": "now64(9)", "span_time": "now64(3)", "created_at": "now64(3)"}
# Migration 009 makes zeros and repeated sums NULL: what nobody said is unknown.
CHANGED = {"spans": {"input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd"}}
NUMBERED = [one.number for one in migrations()]


def stored_columns(client: Client, database: str) -> dict[str, list[tuple[str, str]]]:
    """Each table that keeps rows, with the columns that an insert names."""
    rows = client.query(
        "SELECT table, c.name, c.type FROM system.columns AS c INNER JOIN system.tables AS t ON t.database = c.database AND t.name = c.table"
        " WHERE c.database = {database:String} AND engine LIKE '%MergeTree' AND table != 'migrations'"
        " AND default_kind NOT IN ('MATERIALIZED', 'ALIAS', 'EPHEMERAL') ORDER BY table, position",
        parameters={"database": database},
    ).result_rows
    found: dict[str, list[tuple[str, str]]] = {}
    for table, name, kind in rows:
        found.setdefault(table, []).append((name, kind))
    return found


def rows_of(client: Client, table: str, columns: list[str]) -> list[int]:
    listed = ", ".join(f"`{name}`" for name in columns if name not in CHANGED.get(table, ()))
    rows = client.query(f"SELECT cityHash64(toString(tuple({listed}))) FROM {table} FINAL").result_rows
    return sorted(row[0] for row in rows)


def fill(client: Client, table: str, columns: list[tuple[str, str]], seed: int) -> None:
    structure = ", ".join(f"`{name}` {' '.join(kind.split())}" for name, kind in columns)
    values = ", ".join(FIXED.get(name, f"`{name}`") for name, _ in columns)
    names = ", ".join(f"`{name}`" for name, _ in columns)
    quoted = structure.replace("'", "''")
    client.command(
        f"INSERT INTO {table} ({names}) SELECT {values} FROM generateRandom('{quoted}', {seed}, 12, 3) LIMIT 3"
    )


@pytest.mark.slow
def test_rows_of_every_schema_are_there_unchanged_after_every_later_migration(store: Store) -> None:
    client, database = open_client(store.location, database=None), f"upgraded_{uuid.uuid4().hex}"
    kept: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    try:
        for done, number in enumerate(NUMBERED, 1):
            bring_up_to_date(client, database, known=migrations()[:done])
            for table, columns in stored_columns(client, database).items():
                before = set(rows_of(client, table, [name for name, _ in columns]))
                fill(client, table, columns, number)
                names = tuple(name for name, _ in columns)
                kept[table, names] = [*kept.get((table, names), []), *set(rows_of(client, table, list(names))) - before]
        for (table, kept_names), rows in kept.items():
            there = set(rows_of(client, table, list(kept_names)))
            lost = [row for row in rows if row not in there]
            assert not lost, f"{table}, {len(kept_names)} columns: {len(lost)} of {len(rows)}"
        assert {table for table, _ in kept} >= {"spans", "evaluations", "examples", "experiments", "alerts", "cursors"}
        assert all(kept.values())
    finally:
        client.command(f"DROP DATABASE IF EXISTS {database}")
        client.close()


OLDER = """
import sys
import evalspan.queries.store.backup as backup, evalspan.queries.store.migrations as schema
every = schema.migrations
backup.migrations = schema.migrations = lambda folder=schema.SCHEMA: every(folder)[:-{less}]
"""
FILL = """
from evalspan.queries import open_store
with open_store(sys.argv[1]) as store:
    store.insert("spans", [{"trace_id": "a" * 32, "span_id": f"{n:016x}", "name": "kept"} for n in range(1, 8)])
"""
COMMAND = """
from evalspan.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def version(less: int, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """An evalspan that lacks the newest `less` migrations, as one of an earlier release does."""
    older = OLDER.replace("{less}", str(less)) if less else "import sys\n"
    command = [sys.executable, "-c", older + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_going_back_is_the_backup_of_before_restored_by_the_older_version(tmp_path: Path) -> None:
    used, again, folder = f"chdb://{tmp_path / 'used'}", f"chdb://{tmp_path / 'again'}", str(tmp_path / "backup")
    count = ("sql", "SELECT count(), min(name) FROM spans", "--format", "csv", "--store")
    assert version(3, FILL, used).returncode == 0
    assert version(3, COMMAND, "backup", folder, "--store", used).returncode == 0
    upgraded = version(0, COMMAND, "migrate", "--store", used)
    assert upgraded.stdout.split() == [one.name for one in migrations()[-3:]]
    refused = version(3, COMMAND, *count, used)
    assert refused.returncode == 5, refused.stdout
    assert "does not know" in refused.stderr
    for less, target in ((3, again), (0, f"chdb://{tmp_path / 'newer'}")):
        restored = version(less, COMMAND, "restore", folder, "--store", target)
        assert restored.returncode == 0, restored.stderr
        assert version(less, COMMAND, *count, target).stdout.split()[-1] == "7,kept"
    newer = str(tmp_path / "newer backup")
    assert version(0, COMMAND, "backup", newer, "--store", used).returncode == 0
    refused = version(3, COMMAND, "restore", newer, "--store", f"chdb://{tmp_path / 'third'}")
    assert refused.returncode == 5
    assert "made by a newer evalspan" in refused.stderr
