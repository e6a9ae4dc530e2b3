"""Reads and rewrites one span's attributes in place, so that each dialect is a page of renames."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

from ...instrument import semconv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

STATUS_ERROR = 2
_MOST = 2**63 - 1  # what an OTLP integer holds


def any_value(value: AnyValue) -> Any:
    """The Python value of an OTLP attribute, nested ones included; bytes as base64, as OTLP/JSON has them; None when unset."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [any_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: any_value(pair.value) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind) if kind else None


def as_json(value: Any) -> str:
    """Compact JSON text of a value; a string stays itself."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def parsed(text: Any) -> Any:
    """What a JSON text holds; anything else stays itself."""
    if not isinstance(text, str):
        return text
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def count_of(value: Any) -> int | None:
    """A number of tokens, also as text (`12`, `12.0`); None for what is no count >= 0 or does not fit an OTLP integer."""
    if isinstance(value, str):
        try:
            value = int(value) if value.isascii() and value.isdigit() else float(value)
        except ValueError:  # no number, or more digits than Python reads
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        return None
    count = int(value)
    return count if count <= _MOST else None  # 2**63 as a float equals the limit as a float


class SpanAttributes:
    """A span's attributes as a mapping: `take` what a dialect calls it, `put` what the conventions call it.

    Nothing that the client already put under the conventional name is overwritten; what is taken is removed, so that
    no content is stored twice.
    """

    def __init__(self, span: Span, scope: str = "") -> None:
        self.span, self.scope = span, scope
        self._values = {pair.key: pair.value for pair in span.attributes}
        self._taken: set[str] = set()
        self._put: dict[str, Any] = {}
        self._events_changed = False

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def keys(self) -> Iterator[str]:
        """Every key that came."""
        return iter(self._values)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key as it stands now: what was put counts, what was taken is gone."""
        if key in self._put:
            return self._put[key]
        found = None if key in self._taken else self._values.get(key)
        return default if found is None else any_value(found)

    def take(self, *keys: str) -> Any:
        """The first value among these keys; all of them are removed from the span."""
        result = None
        for key in keys:
            if key in self._values:
                self._taken.add(key)
                if result is None:
                    result = any_value(self._values[key])
        return result

    def put(self, key: str, value: Any) -> None:
        """Set a conventional attribute unless the client did, or there is nothing to set."""
        if value is None or value == "" or key in self._put or (key in self._values and key not in self._taken):
            return
        self._put[key] = value

    def replace(self, key: str, value: Any) -> None:
        """Set an attribute whatever the client put there; None removes it."""
        self._taken.add(key)
        self._put.pop(key, None)
        if value is not None:
            self._put[key] = value

    def rename(self, source: str, target: str) -> None:
        """Take one key and put it under another."""
        self.put(target, self.take(source))

    def put_count(self, key: str, value: Any) -> None:
        """Put a number of tokens; what is no count is left out."""
        self.put(key, count_of(value))

    def numbered(self, prefix: str) -> list[dict[str, Any]]:
        """Take the flattened list `prefix.0.a.b`, `prefix.1.a` as one dict per index, keyed by the rest of the name."""
        rows: dict[int, dict[str, Any]] = {}
        start = prefix + "."
        for key in list(self._values):
            if key.startswith(start):
                index, _, rest = key[len(start) :].partition(".")
                if index.isdigit():
                    rows.setdefault(int(index), {})[rest] = self.take(key)
        return [rows[index] for index in sorted(rows)]

    def tags(self, values: Any) -> None:
        """Put a mapping of metadata, or a list of labels, as tags."""
        if isinstance(values, dict):
            for key, value in values.items():
                self.put(semconv.TAG_PREFIX + str(key), as_json(value))
        elif isinstance(values, list | tuple):
            for label in values:
                self.put(semconv.TAG_PREFIX + as_json(label), "true")

    def drop_events(self, names: Callable[[str], bool]) -> None:
        """Remove the events of these names, whose content is in attributes."""
        events = self.span.events
        for index in range(len(events) - 1, -1, -1):
            if names(events[index].name):
                del events[index]
                self._events_changed = True

    def commit(self) -> bool:
        """Write the changes to the span; whether there were any."""
        if not self._taken and not self._put:
            return self._events_changed
        attributes = self.span.attributes
        for index in range(len(attributes) - 1, -1, -1):
            if attributes[index].key in self._taken:
                del attributes[index]
        for key, value in self._put.items():
            _write(attributes.add(key=key).value, value)
        return True


def _write(target: AnyValue, value: Any) -> None:
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int) and -_MOST <= value <= _MOST:
        target.int_value = value
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        for item in value:
            target.array_value.values.add().string_value = item
    else:
        target.string_value = as_json(value)
