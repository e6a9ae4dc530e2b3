"""Attributes of the OpenTelemetry SDK's spans, read and written without the checks that are known to pass.

The SDK looks at every value twice and takes locks one by one: that is a third of what a span of ten attributes costs.
Where a span or its attributes are of any other kind than the SDK's own, the public way is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Span

from .safe_call import safe_call

# Values of exactly these types are kept as they are, whatever release of the SDK it is.
_PLAIN = frozenset({str, int, float, bool})
_set_attributes = Span.set_attributes


def read(span: Any) -> Mapping[str, Any]:
    """The attributes of a span as they stand now, to be looked at once; empty for one that records nothing."""
    held = getattr(getattr(span, "_attributes", None), "_dict", None)
    if isinstance(held, dict):
        return held
    return getattr(span, "attributes", None) or {}


def write(span: Any, attributes: dict[str, Any]) -> None:
    """Sets the attributes on a span that has not ended; keys must be well-formed texts, and no text empty."""
    rest = safe_call(_write_plain, span, attributes)
    if rest is None:
        rest = attributes
    if rest:
        span.set_attributes(rest)


def _write_plain(span: Any, attributes: dict[str, Any]) -> dict[str, Any]:
    """Writes what needs no check; what is left for the SDK to write."""
    held = getattr(span, "_attributes", None)
    if type(held) is not BoundedAttributes or held.max_value_len is not None:
        return attributes
    if type(span).set_attributes is not _set_attributes:
        return attributes
    plain, rest = dict(attributes), {}
    for name in [name for name, value in attributes.items() if type(value) not in _PLAIN]:
        value = plain.pop(name)
        if type(value) is list and all(type(item) is str for item in value):
            plain[name] = tuple(value)
        else:
            rest[name] = value
    with span._lock, held._lock:  # noqa: SLF001 - in the order in which the SDK takes them
        inside = held._dict  # noqa: SLF001
        room = held.maxlen is None or len(inside) + len(plain) <= held.maxlen
        if not room or held._immutable or span._end_time is not None:  # noqa: SLF001
            return attributes
        inside.update(plain)
    return rest
