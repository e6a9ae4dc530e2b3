"""OTLP's JSON encoding, which is protobuf's with one exception: trace and span ids are hexadecimal."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from google.protobuf import json_format
from google.protobuf.message import Message

from .rejection import RequestRejected

M = TypeVar("M", bound=Message)

_IDS = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")


def from_json(body: bytes, kind: type[M]) -> M:
    """The message that the JSON stands for; RequestRejected says where it does not fit. Unknown fields are ignored."""
    try:
        tree = msgspec.json.decode(body or b"{}")
        for thing in _with_ids(tree):
            _to_base64(thing)
        return json_format.ParseDict(tree, kind(), ignore_unknown_fields=True)
    except (msgspec.DecodeError, json_format.ParseError, RecursionError, UnicodeError) as error:
        raise RequestRejected.malformed(f"the body is not a JSON {kind.DESCRIPTOR.name}: {str(error)[:300]}") from error


def to_json(message: Message) -> bytes:
    """The message in protobuf's JSON encoding."""
    return json_format.MessageToJson(message, indent=None).encode()


def _with_ids(tree: Any) -> Iterator[dict[str, Any]]:
    """Every span, link and log record of the request: the only places where ids stand."""
    for resource in _children(tree, "resourceSpans", "resource_spans", "resourceLogs", "resource_logs"):
        for scope in _children(resource, "scopeSpans", "scope_spans", "scopeLogs", "scope_logs"):
            for item in _children(scope, "spans", "logRecords", "log_records"):
                yield item
                yield from _children(item, "links")


def _children(parent: dict[str, Any], *names: str) -> Iterator[dict[str, Any]]:
    if not isinstance(parent, dict):
        raise json_format.ParseError(f"expected an object, found {type(parent).__name__}")
    for name in names:
        children = parent.get(name) or []
        if not isinstance(children, list):
            raise json_format.ParseError(f"{name} is a {type(children).__name__} instead of an array")
        for child in children:
            if not isinstance(child, dict):
                raise json_format.ParseError(f"{name} holds a {type(child).__name__} instead of an object")
            yield child


def _to_base64(thing: dict[str, Any]) -> None:
    for name in _IDS:
        if thing.get(name):
            try:
                thing[name] = base64.b64encode(bytes.fromhex(thing[name])).decode()
            except (ValueError, TypeError) as error:
                raise json_format.ParseError(
                    f"{name} {thing[name]!r} is not hexadecimal; OTLP's JSON has ids in hexadecimal, not in base64"
                ) from error
