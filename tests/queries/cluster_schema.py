"""Makes the cluster's schema in one engine whose two shards never answer, and asks it: what only analysis refuses shows.

    python tests/queries/cluster_schema.py DIRECTORY

Prints a line for each statement that failed, with its code. Replication needs Keeper, which chDB has not: the local
tables are plain ones, and ON CLUSTER is left out.
"""

from __future__ import annotations

import re
import runpy
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import chdb

from evalspan.queries import catalog
from evalspan.queries.literals import literal
from evalspan.queries.store.cluster import CLUSTER_READER_SETTINGS, on_cluster
from evalspan.queries.store.engine import READER_SETTINGS
from evalspan.queries.store.migrations import migrations
from evalspan.queries.store.otlp_settings import OTLP_FILE

CONFIG = """
<clickhouse><remote_servers><main>
  <shard><internal_replication>true</internal_replication><replica><host>127.0.0.1</host><port>1</port></replica></shard>
  <shard><internal_replication>true</internal_replication><replica><host>127.0.0.1</host><port>2</port></replica></shard>
</main></remote_servers></clickhouse>
"""
REPLICATED = re.compile(r"Replicated(\w*MergeTree)\('[^']*', '[^']*'(?:, )?")
CODE = re.compile(r"Code: (\d+)")


def main(folder: Path) -> None:
    """Runs it all."""
    (folder / "config.xml").write_text(CONFIG)
    engine = chdb.connect(f"{folder / 'store'}?config-file={folder / 'config.xml'}")  # type: ignore[no-untyped-call]

    def run(what: str, sql: str) -> None:
        try:
            engine.query(sql, "Null")
        except RuntimeError as error:
            found = CODE.search(str(error))
            print(f"{what}\t{found.group(1) if found else '?'}\t{str(error)[:300]!r}")

    engine.query("CREATE DATABASE evalspan", "Null")
    engine.query("USE evalspan", "Null")
    for migration in migrations():
        for statement in migration.statements():
            for step in on_cluster(statement, "main", "evalspan"):
                run(
                    migration.name,
                    REPLICATED.sub(r"\1(", step.replace("ON CLUSTER 'main'", "")).replace(
                        " replicated_", " non_replicated_"
                    ),
                )
    spans_arrive(engine, folder)
    engine.query("SET connections_with_failover_max_tries = 1, connect_timeout_with_failover_ms = 50", "Null")
    for name, value in {**READER_SETTINGS, **CLUSTER_READER_SETTINGS}.items():
        engine.query(f"SET {name} = '{value}'", "Null")
    print("rows\t" + str(engine.query("SELECT count() FROM spans_local", "TSVRaw")).strip())
    sys.path.insert(0, str(Path(__file__).parents[2]))
    given = import_module("tests.queries.test_every_query").GIVEN
    for name in (*catalog.names(), *catalog.page_names()):
        query = catalog.get(name)
        bound = {one.name: given.get(one.name, one.default) for one in query.parameters}
        for parameter, value in bound.items():
            engine.query(f"SET param_{parameter} = {literal('1' if value is None else str(value))}", "Null")
        run(f"query {name}", query.statement(bound))


def spans_arrive(engine: Any, folder: Path) -> None:
    """OTLP into the landing table of this server."""
    otlp = runpy.run_path(str(Path(__file__).parent / "test_otlp_columns.py"))
    spans = [otlp["span"](n, otlp["CHAT"]) for n in range(20)]
    (folder / "otlp").write_bytes(otlp["record"](otlp["request"](spans).SerializeToString(), "p"))
    given = ", ".join(f"{name} = '{value}'" for name, value in OTLP_FILE.items())
    engine.query(
        f"INSERT INTO otlp_in FROM INFILE '{folder / 'otlp'}' SETTINGS {given}, input_format_protobuf_oneof_presence = 1"
        " FORMAT Protobuf",
        "Null",
    )


main(Path(sys.argv[1]))
