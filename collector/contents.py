"""Messages that arrive as log records, on their way from the log to the spans that they belong to."""

from __future__ import annotations

from collections import defaultdict

import msgspec

from ..queries.contents import Content, add_contents
from ..queries.database import Store
from ..queries.dimensions import span_dimensions
from .awaited import Awaited
from .log import framing
from .receivers import contents
from .receivers.dialects.messages import Message
from .telemetry import Telemetry

# Exporters send spans when they have ended, five seconds later by default; messages are often there before.
_WAIT_S = 12.0
_AGAIN_S = 1.0


def insert_contents(store: Store, telemetry: Telemetry, segment: bytes, spans: Awaited) -> None:
    """Adds the messages of a segment of log records to their spans, which may take a while to arrive."""
    received_ms = 0
    by_project: dict[str, dict[tuple[str, str], list[contents.Said]]] = defaultdict(lambda: defaultdict(list))
    for record in framing.records(segment):
        received_ms = max(received_ms, record.received_ms)
        for event in contents.said(record.body, record.project):
            by_project[event.project][event.trace_id, event.span_id].append(event)
    for project, missing in by_project.items():
        for _ in spans.looks(received_ms, _WAIT_S, _AGAIN_S):
            there = span_dimensions(store, project, missing)
            add_contents(store, project, [_content(key, missing.pop(key)) for key in there])
            if not missing:
                break
        telemetry.add("contents_without_span_total", len(missing))


def _content(key: tuple[str, str], events: list[contents.Said]) -> Content:
    inputs = [message for event in events for message in event.inputs]
    outputs = [message for event in events for message in event.outputs]
    leading = []
    for message in inputs:
        if message["role"] not in ("system", "developer"):
            break
        leading.append("\n".join(str(part["content"]) for part in message["parts"] if part.get("content")))
    return Content(*key, input=_json(inputs), output=_json(outputs), system="\n".join(leading))


def _json(messages: list[Message]) -> str:
    return msgspec.json.encode(messages).decode() if messages else ""
