"""Scores that arrive as log records, on their way from the log into `evaluations`, with their spans' dimensions."""

from __future__ import annotations

from collections import defaultdict

from ...queries.dimensions import span_dimensions
from ...queries.store.client import Store
from ..log import framing
from ..receivers import logs
from .span_join import Key

# A span is exported when it has ended, its score may overtake it; later than this the score goes in without it.
WAIT_S, AGAIN_S = 3.0, 0.5


def insert_scores(store: Store, segment: bytes, only: set[Key] | None, *, last: bool) -> set[Key]:
    """Inserts the evaluation results of a segment, as collector/insert/span_join.py asks; their ids make a repetition harmless."""
    by_project: dict[str, list[logs.Event]] = defaultdict(list)
    for record in framing.records(segment):
        for event in logs.events(record.body, record.project):
            if only is None or (record.project, event.trace_id, event.span_id) in only:
                by_project[record.project].append(event)
    missing = set()
    for project, events in by_project.items():
        there = span_dimensions(store, project, {(event.trace_id, event.span_id) for event in events})
        rows = []
        for event in events:
            span = there.get((event.trace_id, event.span_id))
            if span is None:
                missing.add((project, event.trace_id, event.span_id))
            if span is not None or last:
                rows.append(event.row(span))
        store.insert("evaluations", rows)
    return missing
