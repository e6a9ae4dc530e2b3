"""What a sampling rule may ask about a span, read from the parsed OTLP message only when it is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...instrument import semconv
from ...queries.messages import messages_in, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

_STATUS_ERROR = 2


def scalar(value: AnyValue) -> str | bool | int | float | None:
    """The Python value of a scalar attribute; None for arrays, maps and bytes."""
    kind = value.WhichOneof("value")
    if kind in ("string_value", "bool_value", "int_value", "double_value"):
        found: str | bool | int | float = getattr(value, kind)
        return found
    return None


class SpanFacts:
    """One span and its resource's attributes, seen by the rules."""

    def __init__(self, span: Span, resource: Mapping[str, Any]) -> None:
        self.span = span
        self.resource = resource

    @cached_property
    def _pairs(self) -> dict[str, KeyValue]:
        return {pair.key: pair for pair in self.span.attributes}

    def has(self, key: str) -> bool:
        """Whether the span came with this attribute."""
        return key in self._pairs

    def attribute(self, key: str) -> Any:
        """The scalar value of a span attribute; None when it is absent or not a scalar."""
        found = self._pairs.get(key)
        return None if found is None else scalar(found.value)

    @property
    def is_root(self) -> bool:
        """Whether the span has no parent."""
        return not self.span.parent_span_id.strip(b"\0")

    @property
    def is_error(self) -> bool:
        """Whether the span ended in an error, by its status or its error.type."""
        return self.span.status.code == _STATUS_ERROR or bool(self.attribute(semconv.ERROR_TYPE))

    @property
    def seconds(self) -> float:
        """Duration; 0 when the clock ran backwards."""
        return max(self.span.end_time_unix_nano - self.span.start_time_unix_nano, 0) / 1e9

    @property
    def kind(self) -> tuple[str, str, str]:
        """(service, operation, model): what its latency is compared with."""
        get = self.attribute
        operation = get(semconv.OPERATION) or self.span.name
        return str(self.resource.get(semconv.SERVICE_NAME) or ""), str(operation), str(get(semconv.REQUEST_MODEL) or "")

    @cached_property
    def user_text(self) -> str:
        """What the user said, case-folded: the user-role texts of the input, else the input of an observed function."""
        raw = self.attribute(semconv.INPUT_MESSAGES)
        if isinstance(raw, str):
            return "\n".join(_texts(raw)).casefold()
        return str(self.attribute(semconv.INPUT_VALUE) or "").casefold()

    def value(self, name: str) -> Any:
        """A segment's value: hour, service, operation, model, user, or any attribute of the span or its resource."""
        if name == "hour":
            return datetime.fromtimestamp(self.span.start_time_unix_nano / 1e9, UTC).hour
        if name in _SHORT:
            name = _SHORT[name]
        found = self.attribute(name)
        return self.resource.get(name) if found is None else found


_SHORT = {
    "service": semconv.SERVICE_NAME,
    "environment": semconv.ENVIRONMENT,
    "operation": semconv.OPERATION,
    "model": semconv.REQUEST_MODEL,
    "user": semconv.USER_ID,
    "prompt": semconv.PROMPT_NAME,
}


def _texts(raw: str) -> Iterator[str]:
    """The texts of the user's messages; a text that holds no messages is searched whole."""
    found = messages_in(raw)
    yield from [text_of(message) for message in found if message.get("role") == "user"] if found else [raw]
