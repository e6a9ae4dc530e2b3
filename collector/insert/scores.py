"""Scores that arrive as log records, on their way from the log into `evaluations`, with their spans' dimensions."""

from __future__ import annotations

from collections import defaultdict

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from ...queries.dimensions import span_dimensions
from ...queries.store.client import Store
from ..log.quarantine import Quarantine
from ..receivers import logs
from .log_events import events
from .span_join import Key

# A span is exported when it has ended, its score may overtake it; later than this the score goes in without it.
WAIT_S, AGAIN_S = 3.0, 0.5


def insert_scores(
    store: Store, quarantine: Quarantine, segment: bytes, only: set[Key] | None, *, last: bool
) -> set[Key]:
    """Inserts the evaluation results of a segment, as collector/insert/span_join.py asks; their ids make a repetition harmless."""
    by_project: dict[str, list[logs.Event]] = defaultdict(list)
    for event in events(segment, _readable, quarantine):
        if only is None or (event.project, event.trace_id, event.span_id) in only:
            by_project[event.project].append(event)
    missing = set()
    for project, found in by_project.items():
        there = span_dimensions(store, project, {(event.trace_id, event.span_id) for event in found})
        rows = []
        for event in found:
            span = there.get((event.trace_id, event.span_id))
            if span is None:
                missing.add((project, event.trace_id, event.span_id))
            if span is not None or last:
                rows.append(event.row(span))
        store.insert("evaluations", rows)
    return missing


def _readable(record: LogRecord, resource: Resource, project: str) -> logs.Event:
    """The event, once a row can be made of it. Raises whatever keeps it from becoming one."""
    event = logs.score_event(record, resource, project)
    event.row(None)
    return event
