"""Makes text that every exporter can send: half a surrogate pair would cost the whole batch of spans.

Such halves come from cut emojis in JSON answers, from file names and from environment variables that are no UTF-8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, Status


def is_well_formed(text: str) -> bool:
    """Whether the text can be encoded as UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def well_formed(text: str) -> str:
    """The text with halves that belong together joined, and every other half replaced by U+FFFD."""
    if text.isascii() or is_well_formed(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def well_formed_value(value: Any) -> Any:
    """The value with every text and key in it well formed; what is already so is not copied."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, Mapping):
        return {well_formed_value(key): well_formed_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [well_formed_value(item) for item in value]
    return value


def well_formed_resource(resource: Resource) -> Resource:
    """The resource, as it is where nothing is wrong with it."""
    if _is_clean(resource.attributes):
        return resource
    return Resource(well_formed_value(dict(resource.attributes)), resource.schema_url)


def well_formed_span(span: ReadableSpan) -> ReadableSpan:
    """The span as it is, or a copy of it with every text in it well formed."""
    description = span.status.description
    scope = span.instrumentation_scope
    if (
        is_well_formed(span.name)
        and (scope is None or is_well_formed(scope.name))
        and _is_clean(span.resource.attributes)
        and (description is None or is_well_formed(description))
        and _is_clean(span.attributes)
        and all(is_well_formed(event.name) and _is_clean(event.attributes) for event in span.events)
        and all(_is_clean(link.attributes) for link in span.links)
    ):
        return span
    return ReadableSpan(
        name=well_formed(span.name),
        context=span.context,
        parent=span.parent,
        resource=well_formed_resource(span.resource),
        attributes=well_formed_value(span.attributes or {}),
        events=[
            Event(well_formed(event.name), well_formed_value(event.attributes or {}), event.timestamp)
            for event in span.events
        ],
        links=[Link(link.context, well_formed_value(link.attributes or {})) for link in span.links],
        kind=span.kind,
        status=Status(span.status.status_code, None if description is None else well_formed(description)),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=scope
        and InstrumentationScope(
            well_formed(scope.name), scope.version, scope.schema_url, well_formed_value(scope.attributes or {})
        ),
    )


def _is_clean(attributes: Any) -> bool:
    for name, value in (attributes or {}).items():
        if not name.isascii() and not is_well_formed(name):
            return False
        if isinstance(value, str):
            # Long texts of other scripts are encoded once more here; it happens in the exporting thread.
            if not value.isascii() and not is_well_formed(value):
                return False
        elif isinstance(value, (list, tuple, Mapping)) and well_formed_value(value) != _as_lists(value):
            return False
    return True


def _as_lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_lists(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_lists(item) for item in value]
    return value
