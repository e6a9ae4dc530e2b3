"""The schema on a ClickHouse cluster: each statement of schema/*.sql as replicated tables on every shard and one Distributed over them."""

from __future__ import annotations

import re

from ...errors import UsageError

_TABLE = re.compile(r"^CREATE TABLE IF NOT EXISTS (\w+)\b(.*)\nENGINE = (\w+)(?:\((.*?)\))?(.*)$", re.DOTALL)
_VIEW = re.compile(r"^CREATE MATERIALIZED VIEW IF NOT EXISTS (\w+) TO (\w+)\b", re.DOTALL)
_PLAIN_VIEW = re.compile(r"^CREATE VIEW IF NOT EXISTS (\w+)\b")
_ALTER = re.compile(r"^(ALTER TABLE|DROP VIEW IF EXISTS|DROP TABLE IF EXISTS) (\w+)\b", re.DOTALL)
# A trace and its evaluations lie on one shard, so joins between them stay there. The rest is small.
_SHARD_BY = {"spans": "cityHash64(trace_id)", "evaluations": "cityHash64(trace_id)"}
_PASSES_ON = "otlp_"  # tables that store nothing: the same name on every shard
_REPLICA = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"


def on_cluster(statement: str, cluster: str, database: str) -> list[str]:
    """
    What a single-server statement becomes on a cluster, in order.

    The landing tables and their views are on every shard and write that shard's own `spans_local`: a segment is one
    insert on one shard, so its deduplication token stays exact.

    Raises:
        UsageError: the cluster's name is not an identifier.
    """
    if not re.fullmatch(r"[\w.-]+", cluster):
        raise UsageError(f"{cluster!r} cannot be the name of a cluster.", hint="See system.clusters on the server.")
    everywhere = f"ON CLUSTER '{cluster}'"
    if view := _VIEW.match(statement):
        name, target = view.groups()
        placed = target if target.startswith(_PASSES_ON) else f"{target}_local"
        return [f"CREATE MATERIALIZED VIEW IF NOT EXISTS {name} {everywhere} TO {placed}{statement[view.end() :]}"]
    if plain := _PLAIN_VIEW.match(statement):
        return [f"{plain.group()} {everywhere}{statement[plain.end() :]}"]
    if altered := _ALTER.match(statement):
        verb, name = altered.groups()
        rest = statement[altered.end() :]
        names = [f"{name}_local", name] if verb == "ALTER TABLE" else [name]
        return [f"{verb} {each} {everywhere}{rest}" for each in names]
    if table := _TABLE.match(statement):
        name, columns, engine, arguments, rest = table.groups()
        if not engine.endswith("MergeTree"):
            return [f"CREATE TABLE IF NOT EXISTS {name} {everywhere}{columns}\nENGINE = {engine}{rest}"]
        placed = f"{_REPLICA}, {arguments}" if arguments else _REPLICA
        rest = rest.replace("non_replicated_deduplication_window", "replicated_deduplication_window")
        shard_by = _SHARD_BY.get(name, "0")
        return [
            f"CREATE TABLE IF NOT EXISTS {name}_local {everywhere}{columns}\nENGINE = Replicated{engine}({placed}){rest}",
            f"CREATE TABLE IF NOT EXISTS {name} {everywhere} AS {name}_local ENGINE = Distributed('{cluster}', {database}, {name}_local, {shard_by})",
        ]
    return [statement]
