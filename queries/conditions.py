"""A named query with a condition on its rows: what an alert rule asks; the condition is checked to be nothing else."""

# ruff: noqa: S608 - what is put into the text is the operator's own condition from evalspan.toml; values are parameters
from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import QueryError, UsageError
from . import catalog

if TYPE_CHECKING:
    from .store.client import Result
    from .store.protocol import StoreClient

_QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"[^\"]*\"|`[^`]*`")


def matching(
    store: StoreClient, name: str, condition: str, parameters: Mapping[str, Any], *, timeout_s: float = 30
) -> Result:
    """The rows of a named query for which a SQL condition over its columns holds.

    Raises:
        UsageError: there is no such query, no such parameter, or the condition is more or less than a condition.
        QueryError: ClickHouse refuses it.
    """
    query = catalog.get(name)
    check_condition(condition)
    sql = f"SELECT * FROM (\n{query.sql}\n) AS found WHERE ({condition})"
    return store.query(sql, query.bound(parameters), timeout_s=timeout_s)


def matching_each(
    store: StoreClient,
    name: str,
    conditions: Mapping[str, str],
    parameters: Mapping[str, Any],
    *,
    timeout_s: float = 30,
) -> dict[str, list[dict[str, Any]]]:
    """The rows for which each of several conditions holds, by the condition's name; the query runs once.

    Raises what `matching` raises; nobody's rows are known then.
    """
    query = catalog.get(name)
    for condition in conditions.values():
        check_condition(condition)
    flags = ", ".join(f"toUInt8(ifNull({condition}, 0))" for condition in conditions.values())
    sql = f"SELECT * FROM (SELECT *, [{flags}] AS conditions_met FROM (\n{query.sql}\n) AS found) WHERE has(conditions_met, 1)"
    found: dict[str, list[dict[str, Any]]] = {rule: [] for rule in conditions}
    for row in store.query(sql, query.bound(parameters), timeout_s=timeout_s).dicts():
        met = row.pop("conditions_met")
        for rule, holds in zip(conditions, met, strict=True):
            if holds:
                found[rule].append(row)
    return found


def try_out(store: StoreClient, name: str, condition: str, parameters: Mapping[str, Any]) -> None:
    """Asks ClickHouse whether query, parameters and condition fit together, without running them.

    Raises what `matching` raises.
    """
    query = catalog.get(name)
    check_condition(condition)
    sql = f"EXPLAIN QUERY TREE SELECT * FROM (\n{query.sql}\n) AS found WHERE ({condition})"
    try:
        store.query(sql, query.bound(parameters))
    except QueryError as error:
        columns = ", ".join(column.name for column in query.columns)
        raise UsageError(
            f"ClickHouse refuses the condition: {error}", hint=f"{name} has the columns {columns}"
        ) from error


def check_condition(condition: str) -> None:
    """Raises UsageError for what cannot be one condition: nothing, several statements, or unbalanced brackets."""
    bare = _QUOTED.sub("''", condition)
    if not bare.strip():
        raise UsageError("The condition is empty.", hint="write one over the query's columns, e.g. high < 3.5")
    depth = 0
    for sign in bare:
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            break
    if depth or ";" in bare or "--" in bare or "/*" in bare:
        raise UsageError(f"{condition!r} is not one condition.", hint="no ';', no comments, and brackets in pairs")
