"""Scores that arrive as log records, on their way from the log into `evaluations`, with their spans' dimensions."""

from __future__ import annotations

import time
from collections import defaultdict

from ..queries.database import Store
from ..queries.dimensions import span_dimensions
from .log import framing
from .receivers import logs

# A span is exported when it has ended, its score may overtake it; later than this the score goes in without it.
_WAIT_S = 3.0
_AGAIN_S = 0.5


def insert_scores(store: Store, segment: bytes) -> None:
    """Inserts the evaluation results of a segment of log records; their ids make a repetition harmless."""
    by_project: dict[str, list[logs.Event]] = defaultdict(list)
    for record in framing.records(segment):
        by_project[record.project].extend(logs.events(record.body, record.project))
    for project, events in by_project.items():
        wanted = {(event.trace_id, event.span_id) for event in events}
        deadline = time.monotonic() + _WAIT_S
        spans = span_dimensions(store, project, wanted)
        while len(spans) < len(wanted) and time.monotonic() < deadline:
            time.sleep(_AGAIN_S)
            spans = span_dimensions(store, project, wanted)
        store.insert("evaluations", [event.row(spans.get((event.trace_id, event.span_id))) for event in events])
