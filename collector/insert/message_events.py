"""Messages that arrive as log records, on their way from the log to the spans that they belong to."""

from __future__ import annotations

from collections import defaultdict

import msgspec

from ...queries.dimensions import span_dimensions
from ...queries.host.telemetry import Telemetry
from ...queries.message_events import SpanMessages, add_messages
from ...queries.store.client import Store
from ..dialects.messages import Message
from ..log.quarantine import Quarantine
from ..receivers.message_events import MessageEvent, message_event
from .log_events import events
from .span_join import Key

# Exporters send spans when they have ended, five seconds later by default; messages are often there before.
WAIT_S, AGAIN_S = 12.0, 1.0


def insert_message_events(
    store: Store, telemetry: Telemetry, quarantine: Quarantine, segment: bytes, only: set[Key] | None, *, last: bool
) -> set[Key]:
    """Adds the messages of a segment of log records to their spans, as collector/insert/span_join.py asks."""
    by_project: dict[str, dict[tuple[str, str], list[MessageEvent]]] = defaultdict(lambda: defaultdict(list))
    for event in events(segment, lambda record, _, project: message_event(record, project), quarantine):
        if only is None or (event.project, event.trace_id, event.span_id) in only:
            by_project[event.project][event.trace_id, event.span_id].append(event)
    missing = set()
    for project, spans in by_project.items():
        there = span_dimensions(store, project, spans)
        add_messages(store, project, [_content(key, spans[key]) for key in there])
        missing |= {(project, *key) for key in spans.keys() - there.keys()}
    if last:
        telemetry.add("messages_without_span_total", len(missing))
    return missing


def _content(key: tuple[str, str], found: list[MessageEvent]) -> SpanMessages:
    inputs = [message for event in found for message in event.inputs]
    outputs = [message for event in found for message in event.outputs]
    leading = []
    for message in inputs:
        if message["role"] not in ("system", "developer"):
            break
        leading.append("\n".join(str(part["content"]) for part in message["parts"] if part.get("content")))
    return SpanMessages(*key, input=_json(inputs), output=_json(outputs), system="\n".join(leading))


def _json(messages: list[Message]) -> str:
    return msgspec.json.encode(messages).decode() if messages else ""
