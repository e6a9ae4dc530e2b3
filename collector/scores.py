"""Scores that arrive as log records, on their way from the log into `evaluations`, with their spans' dimensions."""

from __future__ import annotations

from collections import defaultdict

from ..queries.database import Store
from ..queries.dimensions import span_dimensions
from .awaited import Awaited
from .log import framing
from .receivers import logs

# A span is exported when it has ended, its score may overtake it; later than this the score goes in without it.
_WAIT_S = 3.0
_AGAIN_S = 0.5


def insert_scores(store: Store, segment: bytes, spans: Awaited) -> None:
    """Inserts the evaluation results of a segment of log records; their ids make a repetition harmless."""
    by_project: dict[str, list[logs.Event]] = defaultdict(list)
    received_ms = 0
    for record in framing.records(segment):
        by_project[record.project].extend(logs.events(record.body, record.project))
        received_ms = max(received_ms, record.received_ms)
    for project, events in by_project.items():
        missing = events
        for _ in spans.looks(received_ms, _WAIT_S, _AGAIN_S):
            there = span_dimensions(store, project, {(event.trace_id, event.span_id) for event in missing})
            found = [event for event in missing if (event.trace_id, event.span_id) in there]
            store.insert("evaluations", [event.row(there[event.trace_id, event.span_id]) for event in found])
            missing = [event for event in missing if (event.trace_id, event.span_id) not in there]
            if not missing:
                break
        store.insert("evaluations", [event.row(None) for event in missing])
