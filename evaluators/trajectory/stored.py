"""Traces and conversations read from the store as evaluators get them; pages, exports and online scoring share it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ...queries.unit_scoring_store import MAX_CONVERSATION_SPANS, MAX_SPANS, UnitScoringStore
from .conversation import MAX_TURNS, Conversation
from .render import render_conversation, render_trace
from .trace import Trace, trace_of

if TYPE_CHECKING:
    from ...queries.store.protocol import StoreClient


def read_traces(store: UnitScoringStore, project: str, ids: Sequence[str]) -> dict[str, Trace]:
    """Stored traces by id, at most MAX_SPANS spans of each; those that are not there are left out."""
    found = store.spans_of([(project, one) for one in ids], MAX_SPANS)
    return {trace_id: trace_of(rows) for (of, trace_id), rows in found.items() if of == project}


def with_trajectory_texts(store: StoreClient, rows: Sequence[dict[str, Any]], project: str) -> list[dict[str, Any]]:
    """Rows that name traces or conversations (`unit`, `trace_id`, `conversation_id`) with `input`, what was asked, and
    `output`, the rendered trajectory; those that are not in the store any more are left out.
    """
    units = UnitScoringStore(store)
    traces = read_traces(units, project, [str(row["trace_id"]) for row in rows if row["unit"] == "trace"])
    found = []
    for row in rows:
        if row["unit"] == "conversation":
            conversation = read_conversation(units, project, str(row["conversation_id"]))
            if conversation.turns:
                found.append({**row, "input": conversation.question, "output": render_conversation(conversation).text})
        elif (trace := traces.get(str(row["trace_id"]))) is not None:
            found.append({**row, "input": trace.question, "output": render_trace(trace).text})
    return found


def read_conversation(
    store: UnitScoringStore, project: str, conversation_id: str, *, now: datetime | None = None
) -> Conversation:
    """A stored conversation: its first and latest turns, with the spans that there is room for."""
    ids = store.traces_of(project, conversation_id)
    kept = ids if len(ids) <= MAX_TURNS else [*ids[:20], *ids[20 - MAX_TURNS :]]
    spans = store.spans_of([(project, one) for one in kept], max(20, MAX_CONVERSATION_SPANS // max(1, len(kept))))
    traces = [trace_of(rows) for rows in spans.values()]
    return Conversation(conversation_id, traces, now=now or datetime.now(UTC), turns_left_out=len(ids) - len(kept))
