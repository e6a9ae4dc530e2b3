"""Deletes what is stored of one user: the traces and conversations, their scores, and the examples made from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..errors import UsageError

if TYPE_CHECKING:
    from .store.client import Store
    from .store.protocol import StoreClient

_BATCH = 5_000  # ids named by one statement
_TRACES = """
SELECT DISTINCT trace_id FROM spans WHERE project = {project:String} AND user_id = {user:String}
"""
_CONVERSATIONS = """
SELECT DISTINCT conversation_id FROM spans
WHERE project = {project:String} AND user_id = {user:String} AND conversation_id != ''
"""
# The calls by which judges scored them hold their texts, too.
_JUDGE_TRACES = """
SELECT DISTINCT judge_trace_id FROM evaluations
WHERE project = {project:String} AND has({ids:Array(String)}, trace_id) AND judge_trace_id != ''
"""
# table -> which of its rows speak of these traces or conversations
_WHERE = {
    "evaluations": "has({ids:Array(String)}, trace_id) OR has({ids:Array(String)}, conversation_id)",
    "examples": "has({ids:Array(String)}, source_trace_id)",
    "spans": "has({ids:Array(String)}, trace_id)",
}


class Erased(msgspec.Struct, frozen=True):
    """How many rows of a table spoke of the user."""

    table: str
    rows: int


def count_rows_of_user(store: StoreClient, user: str, project: str = "default") -> list[Erased]:
    """What `erase_user` would delete; reads only. Raises UsageError for an empty name."""
    ids = _ids(store, user, project)
    return [Erased(table, sum(_count(store, table, project, batch) for batch in _batches(ids))) for table in _WHERE]


def erase_user(store: Store, user: str, project: str = "default") -> list[Erased]:
    """
    Deletes the rows and waits until the files that held them are replaced; ClickHouse removes the old files within
    minutes. Spans last, so that a call that was cut short finds the rest when it is made again.

    Raises:
        UsageError: an empty name.
        QueryError: ClickHouse refuses a statement.
    """
    ids, erased = _ids(store, user, project), []
    for table, condition in _WHERE.items():
        rows = 0
        for batch in _batches(ids):
            found = _count(store, table, project, batch)
            if found:
                store.alter(
                    table,
                    f"DELETE WHERE project = {{project:String}} AND ({condition}) SETTINGS mutations_sync = 2",
                    {"project": project, "ids": batch},
                )
            rows += found
        erased.append(Erased(table, rows))
    return erased


def _ids(store: StoreClient, user: str, project: str) -> list[str]:
    if not user:
        raise UsageError("Whose rows? The user's name is empty.", hint="--user ID, as in evalspan.context(user=ID)")
    given = {"project": project, "user": user}
    traces = [row[0] for row in store.query(_TRACES, given).rows]
    conversations = [row[0] for row in store.query(_CONVERSATIONS, given).rows]
    judged = [
        row[0]
        for batch in _batches(traces)
        for row in store.query(_JUDGE_TRACES, {"project": project, "ids": batch}).rows
    ]
    return sorted({*traces, *conversations, *judged})


def _batches(ids: list[str]) -> list[list[str]]:
    return [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]


def _count(store: StoreClient, table: str, project: str, ids: list[str]) -> int:
    found = store.query(
        f"SELECT count() FROM {table} WHERE project = {{project:String}} AND ({_WHERE[table]})",  # noqa: S608 - own names
        {"project": project, "ids": ids},
    )
    return int(found.rows[0][0])
