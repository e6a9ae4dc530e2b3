"""Lists and tables inside lists and tables: the decoder reads one level, what lies deeper becomes JSON text before the insert.

Only requests that hold such values are written again, and they are found by the store's refusal: a look at the values
of every attribute of every span would cost more than the parse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from ..dialects.attributes import any_value

FOUND = 395
"""ClickHouse's code for throwIf, which the decoder's view calls at the second level."""


def flatten(request: ExportTraceServiceRequest) -> bool:
    """Replaces every value that nests deeper than one level by its JSON text; whether there was any."""
    found = False
    for attributes in _attributes(request):
        for attribute in attributes:
            if any(item.WhichOneof("value") in ("array_value", "kvlist_value") for item in _items(attribute.value)):
                attribute.value.string_value = msgspec.json.encode(any_value(attribute.value)).decode()
                found = True
    return found


def _attributes(request: ExportTraceServiceRequest) -> Iterator[Iterable[KeyValue]]:
    for group in request.resource_spans:
        yield group.resource.attributes
        for scope in group.scope_spans:
            for span in scope.spans:
                yield span.attributes
                for event in span.events:
                    yield event.attributes


def _items(value: AnyValue) -> Iterable[AnyValue]:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return value.array_value.values
    return [pair.value for pair in value.kvlist_value.values] if kind == "kvlist_value" else ()
