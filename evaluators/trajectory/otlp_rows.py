"""OTLP spans as rows with the columns of the table `spans`, in Python: what an evaluator sees offline is what it sees online.

The store decodes in SQL (queries/schema); this is the same for the few spans of one case, without a store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from ...instrument import semconv
from ...queries.otlp_rows.calls import call_of, number
from ...queries.otlp_rows.names import NUMBER_KEYS
from ...queries.otlp_rows.prices import Price
from ...queries.otlp_rows.values import Attribute, Unusual, attribute
from ...queries.price_list import list_price
from ...queries.prices import ModelKey, key_of
from ...queries.role_of_span import CALL
from ...queries.trace_tree import role_of

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

_STATUS = ("UNSET", "OK", "ERROR")
_KIND = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INPUTS = (semconv.INPUT_MESSAGES, semconv.TOOL_ARGUMENTS, semconv.RETRIEVAL_QUERY, semconv.INPUT_VALUE)
_OUTPUTS = (semconv.OUTPUT_MESSAGES, semconv.TOOL_RESULT, semconv.RETRIEVAL_DOCUMENTS, semconv.OUTPUT_VALUE)


def rows_of(request: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    """The rows of a request whose spans have the conventions' names already."""
    return list(_rows(request))


def _rows(request: ExportTraceServiceRequest) -> Iterator[dict[str, Any]]:
    for group in request.resource_spans:
        resource = _texts(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield _row(span, resource, scope.scope.name)


def _row(span: Span, resource: Mapping[str, str], scope_name: str) -> dict[str, Any]:
    attributes = _texts(span.attributes)
    named = attributes.get
    row: dict[str, Any] = {
        "project": "default",
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex() if any(span.parent_span_id) else "",
        "start_time": _EPOCH + timedelta(microseconds=span.start_time_unix_nano // 1000),
        "duration_ns": max(span.end_time_unix_nano - span.start_time_unix_nano, 0),
        "name": span.name,
        "kind": _KIND[span.kind] if 0 <= span.kind < len(_KIND) else _KIND[0],
        "status": _STATUS[span.status.code] if 0 <= span.status.code < len(_STATUS) else _STATUS[0],
        "status_message": span.status.message,
        "error_type": named(semconv.ERROR_TYPE, ""),
        "service": resource.get(semconv.SERVICE_NAME, ""),
        "environment": resource.get(semconv.ENVIRONMENT, ""),
        "scope_name": scope_name,
        "operation": named(semconv.OPERATION, ""),
        "provider": named(semconv.PROVIDER) or named("gen_ai.system", ""),
        "request_model": named(semconv.REQUEST_MODEL, ""),
        "response_model": named(semconv.RESPONSE_MODEL, ""),
        "agent_name": named(semconv.AGENT_NAME, ""),
        "tool_name": named(semconv.TOOL_NAME, ""),
        "prompt_name": named(semconv.PROMPT_NAME, ""),
        "prompt_version": named(semconv.PROMPT_VERSION, ""),
        "system_hash": "",
        "conversation_id": named(semconv.CONVERSATION_ID) or named(semconv.SESSION_ID, ""),
        "user_id": named(semconv.USER_ID) or named("enduser.id", ""),
        "input": next((attributes[key] for key in _INPUTS if attributes.get(key)), ""),
        "output": next((attributes[key] for key in _OUTPUTS if attributes.get(key)), ""),
        "attributes": {key: value for key, value in attributes.items() if key not in (*_INPUTS[:1], *_OUTPUTS[:1])},
        "sample_weight": 1.0,
        "role": named("evalspan.role", ""),
    }
    row["role"] = role_of(row)
    return {**row, **_usage(span, row, attributes)}


def _usage(span: Span, row: Mapping[str, Any], attributes: Mapping[str, str]) -> dict[str, Any]:
    """What a call used and cost at the list price, by the store's own sums."""
    if row["role"] != CALL:
        return {"input_tokens": None, "output_tokens": None, "cached_tokens": None, "cost_usd": None}
    found: dict[str, Attribute] = {}
    for pair in span.attributes:
        with suppress(Unusual):
            found[pair.key] = attribute(pair.SerializeToString(), NUMBER_KEYS)
    sent = (number(found, name) for name in (semconv.INPUT_TOKENS, semconv.OUTPUT_TOKENS))
    used = any(tokens is not None and tokens >= 0 for tokens in sent)
    failed = span.status.code == span.status.STATUS_CODE_ERROR
    call = call_of(found, _price(key_of(dict(attributes))), span.start_time_unix_nano, used=used, failed=failed)
    return {
        "input_tokens": call.input_tokens,
        "output_tokens": call.output_tokens,
        "cached_tokens": call.cached_tokens,
        "cost_usd": call.cost_usd,
    }


@lru_cache(maxsize=256)
def _price(key: ModelKey | None) -> Price:
    known = list_price(key) if key is not None else None
    return Price([], False, "") if known is None else Price(known.rates, False, known.reason)


def _texts(pairs: Any) -> dict[str, str]:
    """Attributes as the column `attributes` holds them: every value as text, nested ones as JSON."""
    found: dict[str, str] = {}
    pair: KeyValue
    for pair in pairs:
        value = _plain(pair.value)
        found[pair.key] = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return found


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _plain(pair.value) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return value.bytes_value.hex()
    return getattr(value, kind) if kind else ""
