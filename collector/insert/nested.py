"""Lists and tables inside lists and tables: the decoder reads one level, what lies deeper becomes JSON text before the insert.

Only requests that hold such values are written again, and they are found by the store's refusal: a look at the values
of every attribute of every span would cost more than the parse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from ..dialects.attributes import any_value
from ..log import framing

NESTED_VALUE_ERROR_CODE = 395
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


class StrictSpans:
    """Spans as the decoder's view reads them."""

    def rewrite(self, record: framing.Record) -> framing.Record:
        """The same request without unknown fields and values nested too deep; as it is when it cannot be read."""
        request = ExportTraceServiceRequest()
        try:
            request.ParseFromString(record.body)
        except DecodeError:
            return record
        request.DiscardUnknownFields()
        flatten(request)
        return record._replace(body=request.SerializeToString())

    def is_needed(self, content: bytes) -> bool:
        """Whether a batch holds values nested too deep; False where it cannot be read, which the store then says."""
        try:
            return any(flatten(ExportTraceServiceRequest.FromString(one.body)) for one in framing.records(content))
        except DecodeError:
            return False


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
