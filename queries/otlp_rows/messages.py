"""OTLP's trace messages with attributes, events and links as bytes: the parser's objects for each would cost too much."""

from __future__ import annotations

from ..protobuf_types import BYTES, FIXED64, INT32, MESSAGE, OPTIONAL, REPEATED, Field, message_types

_MESSAGES: dict[str, tuple[Field, ...]] = {
    "Request": (
        ("resource_spans", 1, REPEATED, MESSAGE, "Group"),
        ("project", 1000, OPTIONAL, BYTES, ""),
        ("received_ms", 1001, OPTIONAL, FIXED64, ""),
    ),
    "Group": (("resource", 1, OPTIONAL, MESSAGE, "Resource"), ("scope_spans", 2, REPEATED, MESSAGE, "Scope")),
    "Resource": (("attributes", 1, REPEATED, BYTES, ""),),
    "Scope": (("scope", 1, OPTIONAL, MESSAGE, "Name"), ("spans", 2, REPEATED, MESSAGE, "Span")),
    "Name": (("name", 1, OPTIONAL, BYTES, ""), ("version", 2, OPTIONAL, BYTES, "")),
    "Status": (("message", 2, OPTIONAL, BYTES, ""), ("code", 3, OPTIONAL, INT32, "")),
    "Span": (
        ("trace_id", 1, OPTIONAL, BYTES, ""),
        ("span_id", 2, OPTIONAL, BYTES, ""),
        ("trace_state", 3, OPTIONAL, BYTES, ""),
        ("parent_span_id", 4, OPTIONAL, BYTES, ""),
        ("name", 5, OPTIONAL, BYTES, ""),
        ("kind", 6, OPTIONAL, INT32, ""),
        ("start", 7, OPTIONAL, FIXED64, ""),
        ("end", 8, OPTIONAL, FIXED64, ""),
        ("attributes", 9, REPEATED, BYTES, ""),
        ("events", 11, REPEATED, BYTES, ""),
        ("links", 13, REPEATED, BYTES, ""),
        ("status", 15, OPTIONAL, MESSAGE, "Status"),
    ),
    "Event": (
        ("time", 1, OPTIONAL, FIXED64, ""),
        ("name", 2, OPTIONAL, BYTES, ""),
        ("attributes", 3, REPEATED, BYTES, ""),
    ),
    "Link": (("trace_id", 1, OPTIONAL, BYTES, ""), ("span_id", 2, OPTIONAL, BYTES, "")),
}

_made = message_types("evalspan.otlp_rows", _MESSAGES)
Request, Event, Link = _made["Request"], _made["Event"], _made["Link"]
