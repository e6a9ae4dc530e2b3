"""Migrations: in order, once, held to their checksums, from the first schema on; and their form on a cluster."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evalspan.errors import StoreError, UsageError
from evalspan.queries.store.client import Store
from evalspan.queries.store.cluster import on_cluster
from evalspan.queries.store.engine import open_client
from evalspan.queries.store.migrations import Migration, bring_up_to_date, migrations, pending


@pytest.fixture
def fresh(store: Store):  # type: ignore[no-untyped-def]
    """A client on the session's engine and a database name that no other test uses."""
    import uuid

    client = open_client(store.location, database=None)
    database = f"migrated_{uuid.uuid4().hex}"
    yield client, database
    client.command(f"DROP DATABASE IF EXISTS {database}")
    client.close()


def test_numbers_are_unique_and_every_table_of_the_design_is_made(store: Store) -> None:
    numbers = [migration.number for migration in migrations()]
    assert numbers == sorted(set(numbers))
    tables = {row[0] for row in store.query("SHOW TABLES").rows}
    wanted = "spans evaluations examples experiments experiment_results alert_rules alerts cursors"
    assert set(wanted.split()) <= tables


@pytest.mark.slow
def test_the_upgrade_from_the_first_schema_keeps_the_rows(fresh) -> None:  # type: ignore[no-untyped-def]
    client, database = fresh
    first = migrations()[:1]
    assert bring_up_to_date(client, database, known=first) == ["001_spans"]
    client.command("INSERT INTO spans (trace_id, name) VALUES ('t', 'kept')")
    assert [m.name for m in pending(client, database, migrations())] == [m.name for m in migrations()[1:]]
    assert bring_up_to_date(client, database) == [m.name for m in migrations()[1:]]
    assert bring_up_to_date(client, database) == []
    assert client.query("SELECT name FROM spans").result_rows == [("kept",)]


@pytest.mark.slow
def test_a_migration_that_adds_a_column_reaches_old_rows(fresh) -> None:  # type: ignore[no-untyped-def]
    client, database = fresh
    bring_up_to_date(client, database)
    client.command("INSERT INTO evaluations (name) VALUES ('old')")
    number = migrations()[-1].number + 1
    added = Migration(
        number,
        f"{number:03d}_more",
        "-- more\nALTER TABLE evaluations ADD COLUMN IF NOT EXISTS more String DEFAULT 'x';\n",
    )
    assert bring_up_to_date(client, database, known=[*migrations(), added]) == [added.name]
    assert client.query("SELECT name, more FROM evaluations").result_rows == [("old", "x")]
    with pytest.raises(StoreError, match="does not know") as newer:
        bring_up_to_date(client, database)
    assert "upgrade" in newer.value.hint


def test_an_edited_migration_is_refused_before_anything_changes(fresh) -> None:  # type: ignore[no-untyped-def]
    client, database = fresh
    bring_up_to_date(client, database, known=migrations()[:2])
    edited = [Migration(m.number, m.name, m.text + "\n-- edited\n") if m.number == 2 else m for m in migrations()]
    with pytest.raises(StoreError, match="another 002_evaluations"):
        bring_up_to_date(client, database, known=edited)
    assert len(pending(client, database, migrations())) == len(migrations()) - 2


@pytest.mark.slow
def test_a_migration_cut_off_in_the_middle_is_finished_by_the_next_start(fresh) -> None:  # type: ignore[no-untyped-def]
    client, database = fresh
    third = migrations()[2]
    broken = Migration(
        third.number, third.name, third.text.replace("CREATE TABLE IF NOT EXISTS experiment_results", "CREATE NONSENSE")
    )
    with pytest.raises(StoreError):
        bring_up_to_date(client, database, known=[*migrations()[:2], broken])
    assert bring_up_to_date(client, database)[0] == third.name
    assert client.command("EXISTS TABLE experiment_results") == 1


@pytest.mark.slow
def test_migrate_says_what_is_missing_and_then_does_it(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "evalspan", "migrate", "--store", f"chdb://{tmp_path / 'new'}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    checked = run("--check")
    assert (checked.returncode, checked.stdout, (tmp_path / "new").exists()) == (5, "", False)
    done = run()
    assert (done.returncode, done.stdout.splitlines()) == (0, [m.name for m in migrations()])
    assert run("--check").returncode == 0


def test_on_a_cluster_tables_are_replicated_and_distributed_and_every_statement_parses(store: Store) -> None:
    steps = [step for m in migrations() for one in m.statements() for step in on_cluster(one, "main", "evalspan")]
    for step in steps:
        store.query("SELECT formatQuery({sql:String})", {"sql": step})
        assert "ON CLUSTER 'main'" in step or step.startswith("ALTER TABLE")
    text = "\n".join(steps)
    assert (
        "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', ingested_at)"
        in text
    )
    assert "ENGINE = Distributed('main', evalspan, spans_local, cityHash64(trace_id))" in text
    assert "TO spans_local" in text
    assert "TO otlp_spans AS" in text
    assert "non_replicated" not in text
    with pytest.raises(UsageError):
        on_cluster("SELECT 1", "x'; DROP", "evalspan")


def test_the_page_of_the_schema_names_every_column_with_its_type(store: Store) -> None:
    import re

    page = (Path(__file__).parents[2] / "docs" / "schema.md").read_text()
    told: dict[str, list[tuple[str, str]]] = {}
    for section in page.split("\n## ")[1:]:
        told[section.split("\n")[0]] = re.findall(r"^\| (\w+) \| `(.+?)` \|", section, re.MULTILINE)
    assert set(told) >= {"spans", "evaluations", "examples", "experiments", "experiment_results", "alerts", "cursors"}
    for table, columns in told.items():
        described = store.query(f"DESCRIBE TABLE {table}").rows
        made = [(row[0], " ".join(row[1].split()).replace("( ", "(").replace(" )", ")")) for row in described]
        assert columns == made, table
