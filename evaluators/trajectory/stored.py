"""Traces and conversations read from the store as evaluators get them; pages, exports and online scoring share it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ...queries.unit_scoring_store import MAX_CONVERSATION_SPANS, MAX_SPANS, UnitScoringStore
from .conversation import MAX_TURNS, Conversation
from .trace import Trace, trace_of


def read_traces(store: UnitScoringStore, project: str, ids: Sequence[str]) -> dict[str, Trace]:
    """Stored traces by id, at most MAX_SPANS spans of each; those that are not there are left out."""
    found = store.spans_of([(project, one) for one in ids], MAX_SPANS)
    return {trace_id: trace_of(rows) for (of, trace_id), rows in found.items() if of == project}


def read_conversation(
    store: UnitScoringStore, project: str, conversation_id: str, *, now: datetime | None = None
) -> Conversation:
    """A stored conversation: its first and latest turns, with the spans that there is room for."""
    ids = store.traces_of(project, conversation_id)
    kept = ids if len(ids) <= MAX_TURNS else [*ids[:20], *ids[20 - MAX_TURNS :]]
    spans = store.spans_of([(project, one) for one in kept], max(20, MAX_CONVERSATION_SPANS // max(1, len(kept))))
    traces = [trace_of(rows) for rows in spans.values()]
    return Conversation(conversation_id, traces, now=now or datetime.now(UTC), turns_left_out=len(ids) - len(kept))
