"""Scores of two versions of one evaluator on the same spans: the only way in which versions may be compared."""

# ruff: noqa: S608 - the name and version that go into the text are quoted here; all else is a parameter
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .literals import literal

if TYPE_CHECKING:
    from .store.protocol import StoreClient

_MACHINES = "source IN ('code', 'llm_judge')"


_KEYS = {"span": "(trace_id, span_id)", "trace": "trace_id", "conversation": "conversation_id"}


def scored_by_another(name: str, version: str, unit: str = "span") -> str:
    """A condition on spans: another version of the evaluator has scored them, their traces or their conversations."""
    key = _KEYS[unit]
    return (
        f"{key} IN (SELECT {key} FROM evaluations WHERE name = {literal(name)} AND unit = {literal(unit)}"
        f" AND evaluator_version != {literal(version)} AND isNotNull(score) AND {_MACHINES})"
    )


def both_versions(
    store: StoreClient, name: str, version: str, since_s: int, project: str = "default"
) -> list[dict[str, Any]]:
    """For each span, trace or conversation with both: `old` and `new` score, `old_version` (the newest other than this one) and `cluster`."""
    return store.query(
        "SELECT argMaxIf(score, version, evaluator_version = {new:String}) AS new,"
        " argMaxIf(score, version, evaluator_version != {new:String}) AS old,"
        " argMaxIf(evaluator_version, version, evaluator_version != {new:String}) AS old_version,"
        # Scores of one conversation move together, those of other traces do not.
        " if(any(conversation_id) = '', concat('trace ', trace_id), any(conversation_id)) AS cluster"
        f" FROM evaluations WHERE name = {{name:String}} AND isNotNull(score) AND {_MACHINES}"
        " AND ({project:String} = '*' OR project = {project:String})"
        " AND span_time >= now() - toIntervalSecond({since:UInt32}) - INTERVAL 1 DAY"
        " AND evaluator_version IN ({new:String}, (SELECT argMax(evaluator_version, created_at) FROM evaluations"
        " WHERE name = {name:String} AND evaluator_version != {new:String}))"
        " GROUP BY project, unit, trace_id, span_id, if(unit = 'conversation', conversation_id, '') HAVING uniqExact(evaluator_version) = 2",
        {"new": version, "name": name, "since": since_s, "project": project},
    ).dicts()
