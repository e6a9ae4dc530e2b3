"""OTLP's trace messages with attributes, events and links as bytes: the parser's objects for each would cost too much."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_OPTIONAL, _REPEATED = 1, 3
_FIXED64, _INT32, _MESSAGE, _BYTES = 6, 5, 11, 12

_MESSAGES: dict[str, tuple[tuple[str, int, int, int, str], ...]] = {
    "Request": (
        ("resource_spans", 1, _REPEATED, _MESSAGE, "Group"),
        ("project", 1000, _OPTIONAL, _BYTES, ""),
        ("received_ms", 1001, _OPTIONAL, _FIXED64, ""),
    ),
    "Group": (("resource", 1, _OPTIONAL, _MESSAGE, "Resource"), ("scope_spans", 2, _REPEATED, _MESSAGE, "Scope")),
    "Resource": (("attributes", 1, _REPEATED, _BYTES, ""),),
    "Scope": (("scope", 1, _OPTIONAL, _MESSAGE, "Name"), ("spans", 2, _REPEATED, _MESSAGE, "Span")),
    "Name": (("name", 1, _OPTIONAL, _BYTES, ""), ("version", 2, _OPTIONAL, _BYTES, "")),
    "Status": (("message", 2, _OPTIONAL, _BYTES, ""), ("code", 3, _OPTIONAL, _INT32, "")),
    "Span": (
        ("trace_id", 1, _OPTIONAL, _BYTES, ""),
        ("span_id", 2, _OPTIONAL, _BYTES, ""),
        ("trace_state", 3, _OPTIONAL, _BYTES, ""),
        ("parent_span_id", 4, _OPTIONAL, _BYTES, ""),
        ("name", 5, _OPTIONAL, _BYTES, ""),
        ("kind", 6, _OPTIONAL, _INT32, ""),
        ("start", 7, _OPTIONAL, _FIXED64, ""),
        ("end", 8, _OPTIONAL, _FIXED64, ""),
        ("attributes", 9, _REPEATED, _BYTES, ""),
        ("events", 11, _REPEATED, _BYTES, ""),
        ("links", 13, _REPEATED, _BYTES, ""),
        ("status", 15, _OPTIONAL, _MESSAGE, "Status"),
    ),
    "Event": (
        ("time", 1, _OPTIONAL, _FIXED64, ""),
        ("name", 2, _OPTIONAL, _BYTES, ""),
        ("attributes", 3, _REPEATED, _BYTES, ""),
    ),
    "Link": (("trace_id", 1, _OPTIONAL, _BYTES, ""), ("span_id", 2, _OPTIONAL, _BYTES, "")),
}


def _types() -> dict[str, Any]:
    package = "evalspan.otlp_rows"
    file = descriptor_pb2.FileDescriptorProto(name="otlp_rows.proto", package=package, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, label, kind, of in fields:
            added = message.field.add(name=field, number=number, label=label, type=kind)
            if of:
                added.type_name = f".{package}.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in _MESSAGES
    }


_made = _types()
Request, Event, Link = _made["Request"], _made["Event"], _made["Link"]
