"""OTLP's JSON encoding, which is protobuf's with one exception: trace and span ids are hexadecimal.

The whole request is parsed at once. Only where that fails is it read piece by piece, so that a bad span costs one span.
"""

from __future__ import annotations

import base64
import codecs
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec
from google.protobuf import json_format
from google.protobuf.message import Message

from .defects import Defects
from .rejection import RequestRejected

M = TypeVar("M", bound=Message)

_IDS = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")
_TIMES = ("startTimeUnixNano", "endTimeUnixNano", "start_time_unix_nano", "end_time_unix_nano", "timeUnixNano", "time_unix_nano")  # fmt: skip
_GROUPS = ("resourceSpans", "resource_spans", "resourceLogs", "resource_logs")
_SCOPES = ("scopeSpans", "scope_spans", "scopeLogs", "scope_logs")
_OLD_SCOPES = ("instrumentationLibrarySpans", "instrumentation_library_spans")
_ITEMS = ("spans", "logRecords", "log_records")
_SURROGATES = re.compile("[\ud800-\udfff]")
_BAD = (json_format.ParseError, RecursionError, UnicodeError, TypeError, ValueError, AttributeError, OverflowError)


def from_json(body: bytes, kind: type[M], defects: Defects | None = None) -> M:
    """
    The message that the JSON stands for. Unknown fields are ignored; spans, log records and attributes that cannot be
    read are left out and counted in `defects`.

    Raises:
        RequestRejected: it is no JSON, or not in the shape of a request.
    """
    defects = Defects() if defects is None else defects
    try:
        tree = _decoded(body, defects)
        if not isinstance(tree, dict):
            raise json_format.ParseError(f"expected an object, found {type(tree).__name__}")
        _move_old_spans(tree, defects)
        if not defects:
            try:
                for thing in _with_ids(tree):
                    _to_base64(thing)
                return json_format.ParseDict(tree, kind(), ignore_unknown_fields=True)
            except _BAD:
                tree = _decoded(body, Defects())  # the ids may have been changed half-way
                _move_old_spans(tree, Defects())
        return _piecewise(tree, kind(), defects)
    except _BAD as error:
        raise RequestRejected.malformed(f"the body is not a JSON {kind.DESCRIPTOR.name}: {str(error)[:300]}") from error


def to_json(message: Message) -> bytes:
    """The message in protobuf's JSON encoding."""
    return json_format.MessageToJson(message, indent=None).encode()


def _decoded(body: bytes, defects: Defects) -> Any:
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        return msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeError):
        text = body.decode(errors="replace")
        if "\N{REPLACEMENT CHARACTER}" in text and "\N{REPLACEMENT CHARACTER}".encode() not in body:
            defects.repair("the body had bytes that are no UTF-8")
        tree = json.loads(text, strict=False)  # takes NaN, Infinity, control characters and halves of surrogate pairs
        return _cleaned(tree, defects)


def _cleaned(value: Any, defects: Defects) -> Any:
    """The tree without halves of surrogate pairs, with NaN and infinite numbers as protobuf's JSON writes them."""
    if isinstance(value, str):
        if _SURROGATES.search(value):
            defects.repair("half of a surrogate pair, as JavaScript cuts texts, is no character")
            return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", value)
        return value
    if isinstance(value, dict):
        return {_cleaned(key, defects): _cleaned(item, defects) for key, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item, defects) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value


def _move_old_spans(tree: dict[str, Any], defects: Defects) -> None:
    for group in _children(tree, *_GROUPS):
        for name in _OLD_SCOPES:
            old = group.pop(name, None)
            for scope in old if isinstance(old, list) else ():
                if isinstance(scope, dict):
                    library = scope.pop("instrumentationLibrary", scope.pop("instrumentation_library", None))
                    group.setdefault("scopeSpans", []).append({"scope": library or {}, **scope})
                    defects.repair("instrumentationLibrarySpans, of senders older than OTLP 0.16, became scopeSpans")


def _piecewise(tree: dict[str, Any], message: M, defects: Defects) -> M:
    """The same request read span by span."""
    groups = message.resource_spans if hasattr(message, "resource_spans") else getattr(message, "resource_logs", None)
    if groups is None:
        return json_format.ParseDict(tree, message, ignore_unknown_fields=True)
    for sent_group in _children(tree, *_GROUPS):
        group = groups.add()
        _with_attributes(sent_group.get("resource"), group.resource, defects)
        scopes = group.scope_spans if hasattr(group, "scope_spans") else group.scope_logs
        for sent_scope in _children(sent_group, *_SCOPES):
            scope = scopes.add()
            _with_attributes(sent_scope.get("scope"), scope.scope, defects)
            items = scope.spans if hasattr(scope, "spans") else scope.log_records
            for name in _ITEMS:
                sent_items = sent_scope.get(name)
                for sent in sent_items if isinstance(sent_items, list) else ():
                    _item(sent, items.add, items.pop, defects)
    readable = any(
        scope.spans if hasattr(scope, "spans") else scope.log_records
        for group in groups
        for scope in (group.scope_spans if hasattr(group, "scope_spans") else group.scope_logs)
    )
    if defects.dropped and not readable:  # nothing to keep: the sender speaks another encoding
        raise json_format.ParseError(defects.dropped_because)
    return message


def _item(sent: Any, add: Callable[[], Message], remove: Callable[[], Message], defects: Defects) -> None:
    item = add()
    try:
        if not isinstance(sent, dict):
            raise json_format.ParseError(f"found a {type(sent).__name__} instead of an object")
        for thing in (sent, *_children(sent, "links")):
            _to_base64(thing)
        for thing in (sent, *_children(sent, "events")):
            _usable_times(thing, defects)
        attributes = sent.pop("attributes", None)
        json_format.ParseDict(sent, item, ignore_unknown_fields=True)
        _with_attributes({"attributes": attributes}, item, defects)
    except _BAD as error:
        remove()
        defects.drop(str(error)[:200])


def _with_attributes(sent: Any, message: Any, defects: Defects) -> None:
    """Parses a resource, scope or span's attributes; one that cannot be read is left out."""
    if not isinstance(sent, dict):
        return
    attributes = sent.pop("attributes", None)
    try:
        json_format.ParseDict(sent, message, ignore_unknown_fields=True)
    except _BAD as error:
        defects.repair(str(error)[:200])
    for one in attributes if isinstance(attributes, list) else ():
        pair = message.attributes.add()
        try:
            json_format.ParseDict(one, pair, ignore_unknown_fields=True)
        except _BAD as error:
            key = one.get("key") if isinstance(one, dict) else None
            message.attributes.pop()
            defects.repair(f"attribute {key!r} was left out: {str(error)[:200]}")


def _usable_times(thing: dict[str, Any], defects: Defects) -> None:
    for name in _TIMES:
        if name in thing:
            try:
                usable = 0 <= int(thing[name] or 0) < 2**64
            except (ValueError, TypeError):
                usable = False
            if not usable:
                defects.repair(f"{name} {str(thing[name])[:40]!r} is no time")
                thing[name] = 0


def _with_ids(tree: Any) -> Iterator[dict[str, Any]]:
    """Every span, link and log record of the request: the only places where ids stand."""
    for resource in _children(tree, *_GROUPS):
        for scope in _children(resource, *_SCOPES):
            for item in _children(scope, *_ITEMS):
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
