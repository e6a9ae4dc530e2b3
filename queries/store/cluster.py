"""The schema on a ClickHouse cluster: each statement of schema/*.sql as replicated tables on every shard and one Distributed over them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...errors import StoreError, UsageError
from .engine import translated

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# Any server joins and filters rows of all shards: without this it refuses a join or IN of two distributed tables, and
# rows of one trace need not lie where its scores do.
CLUSTER_READER_SETTINGS = {"distributed_product_mode": "global"}
# An insert is answered once its rows are on their shards: by default they wait in a folder of the server that took them.
# And a block that equals an earlier one counts: a rule that is switched on, off and on again.
CLUSTER_WRITER_SETTINGS = {"distributed_foreground_insert": 1, "insert_deduplicate": 0}

_TABLE = re.compile(r"^CREATE TABLE IF NOT EXISTS (\w+)\b(.*)\nENGINE = (\w+)(?:\((.*?)\))?(.*)$", re.DOTALL)
_VIEW = re.compile(r"^CREATE MATERIALIZED VIEW IF NOT EXISTS (\w+) TO (\w+)\b", re.DOTALL)
_PLAIN_VIEW = re.compile(r"^CREATE VIEW IF NOT EXISTS (\w+)\b")
_ALTER = re.compile(r"^(ALTER TABLE|DROP VIEW IF EXISTS|DROP TABLE IF EXISTS) (\w+)\b", re.DOTALL)
# What a Distributed table takes over: names, types and defaults of columns. How rows are stored, indexes, mutations and
# partitions are the local tables' alone, and an error on this one.
_OF_COLUMNS = re.compile(r"^\s+(ADD|DROP|MODIFY|RENAME|COMMENT) COLUMN\b")
_STORAGE_OF_COLUMN = re.compile(r"\s+(CODEC\s*\((?:[^()]|\([^()]*\))*\)|SETTINGS\s*\([^()]*\))")
# Scores of a trace lie together. Spans that come as OTLP lie where their collector writes. The rest is small.
_SHARD_BY = {"spans": "cityHash64(trace_id)", "evaluations": "cityHash64(trace_id)"}
_PASSES_ON = "otlp_"  # tables that store nothing: the same name on every shard
_REPLICA = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
# Every server has all rows of a small table: no shard needs another one to decode, price and insert what it receives.
_EVERYWHERE = "'/clickhouse/tables/all/{database}/{table}', '{shard}-{replica}'"


def on_cluster(statement: str, cluster: str, database: str) -> list[str]:
    """
    What a single-server statement becomes on a cluster, in order.

    Spans and evaluations are sharded. Small tables are replicated to every server, and altered through that replication.
    The landing tables and their views are on every shard and write that shard's own `spans_local`: a segment is one
    insert on one shard, so its deduplication token stays exact.

    Raises:
        UsageError: the cluster's name is not an identifier.
    """
    check_cluster(cluster)
    everywhere = f"ON CLUSTER '{cluster}'"
    if view := _VIEW.match(statement):
        name, target = view.groups()
        placed = f"{target}_local" if target in _SHARD_BY else target
        return [f"CREATE MATERIALIZED VIEW IF NOT EXISTS {name} {everywhere} TO {placed}{statement[view.end() :]}"]
    if plain := _PLAIN_VIEW.match(statement):
        return [f"{plain.group()} {everywhere}{statement[plain.end() :]}"]
    if altered := _ALTER.match(statement):
        verb, name = altered.groups()
        rest = statement[altered.end() :]
        if verb != "ALTER TABLE":
            return [f"{verb} {name} {everywhere}{rest}"]
        if name not in _SHARD_BY:
            return [f"{verb} {name} {everywhere}{rest}" if name.startswith(_PASSES_ON) else statement]
        steps = [f"{verb} {name}_local {everywhere}{rest}"]
        if _OF_COLUMNS.match(rest):
            steps.append(f"{verb} {name} {everywhere}{_STORAGE_OF_COLUMN.sub('', rest)}")
        return steps
    if table := _TABLE.match(statement):
        name, columns, engine, arguments, rest = table.groups()
        if not engine.endswith("MergeTree"):
            return [f"CREATE TABLE IF NOT EXISTS {name} {everywhere}{columns}\nENGINE = {engine}{rest}"]
        sharded = name in _SHARD_BY
        placed = ", ".join(filter(None, (_REPLICA if sharded else _EVERYWHERE, arguments)))
        rest = rest.replace("non_replicated_deduplication_window", "replicated_deduplication_window")
        held = f"{name}_local" if sharded else name
        steps = [
            f"CREATE TABLE IF NOT EXISTS {held} {everywhere}{columns}\nENGINE = Replicated{engine}({placed}){rest}"
        ]
        if sharded:
            over = f"Distributed('{cluster}', {database}, {held}, {_SHARD_BY[name]})"
            steps.append(f"CREATE TABLE IF NOT EXISTS {name} {everywhere} AS {held} ENGINE = {over}")
        return steps
    return [statement]


def check_cluster(cluster: str, *, embedded: bool = False) -> None:
    """Raises UsageError for a cluster of an embedded store, and for a name that no cluster can have; "" is none."""
    if not cluster:
        return
    if embedded:
        raise UsageError(
            f"[store] cluster is {cluster}, but the store is embedded.",
            hint="Name a server of the cluster: [store] dsn.",
        )
    if not re.fullmatch(r"[\w.-]+", cluster):
        raise UsageError(f"{cluster!r} cannot be the name of a cluster.", hint="See system.clusters on the server.")


def cluster_of(client: Client, database: str, wanted: str = "") -> str:
    """
    The cluster that the database's tables are distributed over, `wanted` where there are no tables yet, "" for none.

    Raises:
        StoreError: `wanted` is another one, or the tables are those of a single server.
        StoreUnreachable: the server does not answer.
    """
    with translated():
        found = client.query(
            "SELECT engine, engine_full FROM system.tables WHERE database = {database:String} AND name = 'spans'",
            parameters={"database": database},
        ).result_rows
    if not found:
        return wanted
    engine, described = found[0]
    name = re.match(r"Distributed\('([\w.-]+)'", described) if engine == "Distributed" else None
    there = name.group(1) if name else ""
    if wanted and wanted != there:
        state = f"distributed over the cluster {there}" if there else "those of a single server"
        raise StoreError(
            f"[store] cluster is {wanted}, but the tables of {database} are {state}.",
            hint="Name another database in the DSN for the cluster, then evalspan copy-store brings the rows.",
        )
    return there
