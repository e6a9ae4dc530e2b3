"""Deletes what is stored of one user: the traces and conversations, their scores, the examples made from them, and these' results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ..errors import UsageError

if TYPE_CHECKING:
    from .store.client import Store
    from .store.protocol import StoreClient

_BATCH = 5_000  # ids named by one statement
_OWN_TRACES = """
SELECT DISTINCT trace_id FROM spans WHERE project = {project:String} AND user_id = {user:String}
"""
_CONVERSATIONS = """
SELECT DISTINCT conversation_id FROM spans
WHERE project = {project:String} AND user_id = {user:String} AND conversation_id != ''
"""
# A conversation's turns without a user are the user's; those that name somebody else are theirs.
_OTHER_TURNS = """
SELECT trace_id FROM spans
WHERE project = {project:String} AND trace_id IN
    (SELECT trace_id FROM spans WHERE project = {project:String} AND conversation_id IN {ids:Array(String)})
GROUP BY trace_id HAVING countIf(user_id NOT IN ('', {user:String})) = 0
"""
# The calls by which judges scored them hold their texts, too.
_JUDGE_TRACES = """
SELECT DISTINCT judge_trace_id FROM evaluations
WHERE project = {project:String} AND (trace_id IN {ids:Array(String)} OR (trace_id = '' AND conversation_id IN {ids:Array(String)})) AND judge_trace_id != ''
"""
# An id is unique in its dataset or experiment only.
_EXAMPLE, _RESULT = "concat(dataset, '\\n', example_id)", "concat(experiment_id, '\\n', example_id)"
_EXAMPLES = f"""
SELECT DISTINCT {_EXAMPLE} FROM examples
WHERE project = {{project:String}}
    AND (source_trace_id IN {{ids:Array(String)}} OR JSONExtractString(metadata, 'conversation_id') IN {{ids:Array(String)}})
"""  # noqa: S608 - own names
# Runs on these examples: their outputs answer the user's questions.
_RESULTS = f"""
SELECT DISTINCT {_RESULT}, trace_id FROM experiment_results
WHERE project = {{project:String}} AND (experiment_id, example_id) IN
(
    SELECT e.experiment_id, x.example_id FROM experiments AS e
    INNER JOIN (SELECT dataset, example_id FROM examples WHERE project = {{project:String}} AND {_EXAMPLE} IN {{ids:Array(String)}}) AS x
    ON x.dataset = e.dataset
    WHERE e.project = {{project:String}}
)
"""  # noqa: S608 - own names


class Erased(msgspec.Struct, frozen=True):
    """How many rows of a table spoke of the user."""

    table: str
    rows: int


class _Part(NamedTuple):
    """Rows that a condition on ids finds."""

    table: str
    condition: str
    ids: list[str]


def count_rows_of_user(store: StoreClient, user: str, project: str = "default") -> list[Erased]:
    """What `erase_user` would delete; reads only. Raises UsageError for an empty name."""
    parts = _parts(store, user, project)
    return _summed(
        Erased(part.table, _count(store, part, project, batch)) for part in parts for batch in _batches(part.ids)
    )


def erase_user(store: Store, user: str, project: str = "default") -> list[Erased]:
    """
    Deletes the rows and waits until the files that held them are replaced; ClickHouse removes the old files within
    minutes. What others are found by goes last, so that a call that was cut short finds the rest when it is made again.

    Raises:
        UsageError: an empty name.
        QueryError: ClickHouse refuses a statement.
    """
    erased = []
    for part in _parts(store, user, project):
        for batch in _batches(part.ids):
            rows = _count(store, part, project, batch)
            if rows:
                store.alter(
                    part.table,
                    f"DELETE WHERE project = {{project:String}} AND ({part.condition}) SETTINGS mutations_sync = 2",
                    {"project": project, "ids": batch},
                )
            erased.append(Erased(part.table, rows))
    return _summed(erased)


def _parts(store: StoreClient, user: str, project: str) -> list[_Part]:
    """In the order in which they are deleted."""
    if not user:
        raise UsageError("Whose rows? The user's name is empty.", hint="--user ID, as in evalspan.context(user=ID)")
    given = {"project": project, "user": user}

    def asked(sql: str, ids: list[str]) -> list[tuple[str, ...]]:
        return [row for batch in _batches(ids) for row in store.query(sql, {**given, "ids": batch}).rows]

    conversations = [row[0] for row in store.query(_CONVERSATIONS, given).rows]
    own = {row[0] for row in store.query(_OWN_TRACES, given).rows}
    traces = sorted(own.union(row[0] for row in asked(_OTHER_TURNS, conversations)))
    both = sorted({*traces, *conversations})
    examples = sorted({row[0] for row in asked(_EXAMPLES, both)})
    results = asked(_RESULTS, examples)
    runs = sorted({trace for _, trace in results if trace})
    scored = sorted({*both, *runs})
    judges = sorted({row[0] for row in asked(_JUDGE_TRACES, scored)})
    of_trace = "trace_id IN {ids:Array(String)}"
    return [
        _Part("spans", of_trace, sorted({*judges, *runs}.difference(traces))),
        _Part("evaluations", f"{of_trace} OR (trace_id = '' AND conversation_id IN {{ids:Array(String)}})", scored),
        _Part("experiment_results", f"{_RESULT} IN {{ids:Array(String)}}", sorted({result for result, _ in results})),
        _Part("examples", f"{_EXAMPLE} IN {{ids:Array(String)}}", examples),
        _Part("spans", of_trace, traces),
    ]


def _summed(counted: Iterable[Erased]) -> list[Erased]:
    rows = Counter(dict.fromkeys(("evaluations", "examples", "experiment_results", "spans"), 0))
    for one in counted:
        rows[one.table] += one.rows
    return [Erased(table, n) for table, n in rows.items()]


def _batches(ids: list[str]) -> list[list[str]]:
    return [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]


def _count(store: StoreClient, part: _Part, project: str, ids: list[str]) -> int:
    found = store.query(
        f"SELECT count() FROM {part.table} WHERE project = {{project:String}} AND ({part.condition})",  # noqa: S608 - own names
        {"project": project, "ids": ids},
    )
    return int(found.rows[0][0])
