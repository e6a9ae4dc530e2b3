"""Calls that were stored without a cost get one once a price is known: they are inserted again as they came."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ...instrument import semconv
from ...queries.prices import ModelKey, ResolvedPrice, key_of
from ...queries.store.client import Store
from ...queries.unpriced import own_models, unpriced_models, unpriced_spans
from ..log import framing

logger = logging.getLogger(__name__)

_BATCH = 500
# A row has its bodies in two columns, whatever the span called them.
_BODIES = {"input": semconv.INPUT_VALUE, "output": semconv.OUTPUT_VALUE}


def reprice(
    store: Store,
    insert: Callable[[bytes, str], None],
    price_of: Callable[[ModelKey], ResolvedPrice],
    seconds: int,
    only: Iterable[ModelKey] | None = None,
) -> int:
    """
    Inserts the calls again that were stored in the last `seconds` without a cost and whose price is known now; how many.

    `insert` takes a segment of the log and its token; `only` are the models to look at, all without it. Raises what the
    store raises: what was not reached stays as it is.
    """
    wanted = None if only is None else set(only)
    by_hand = own_models(store)
    count = 0
    for names in unpriced_models(store, seconds):
        key = key_of(names)
        if key is None or (wanted is not None and key not in wanted) or not _has_price(price_of, key, by_hand):
            continue
        for rows in _batches(store, names, seconds):
            insert(segment_of(rows), f"reprice-{secrets.token_hex(8)}")
            count += len(rows)
    if count:
        logger.info("%d calls were stored without a cost and have one now", count)
    return count


def segment_of(rows: list[dict[str, Any]]) -> bytes:
    """Stored spans as the durable log has those that arrive, one record each."""
    pieces: list[bytes] = []
    for row in rows:
        pieces += framing.frame(_request(row).SerializeToString(), row["project"], row["received_ms"])
    return b"".join(pieces)


def _has_price(price_of: Callable[[ModelKey], ResolvedPrice], key: ModelKey, by_hand: set[tuple[str, str]]) -> bool:
    if any((who, model) in by_hand for who in (key.provider, "") for model in (key.request_model, key.response_model)):
        return True
    return bool(price_of(key).rates)


def _batches(store: Store, names: dict[str, str], seconds: int) -> Iterator[list[dict[str, Any]]]:
    after = ("", "")
    while rows := unpriced_spans(store, names, seconds, after=after, most=_BATCH):
        yield rows
        after = (rows[-1]["trace_id"], rows[-1]["span_id"])


def _request(row: dict[str, Any]) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    _put(group.resource.attributes, row["resource"])
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = row["scope_name"], row["scope_version"]
    span = scope.spans.add(
        trace_id=bytes.fromhex(row["trace_id"]),
        span_id=bytes.fromhex(row["span_id"]),
        parent_span_id=bytes.fromhex(row["parent_span_id"]),
        trace_state=row["trace_state"],
        name=row["name"],
        kind=row["kind_number"],
        start_time_unix_nano=row["started"],
        end_time_unix_nano=row["ended"],
    )
    span.status.code, span.status.message = row["status_code"], row["status_message"]
    bodies = {attribute: row[column] for column, attribute in _BODIES.items() if row[column]}
    _put(span.attributes, bodies)  # first: the decoder takes the first of two, the other stays an attribute
    _put(span.attributes, row["attributes"])
    if row["operation"] and not row["attributes"].get(semconv.OPERATION):
        _put(span.attributes, {semconv.OPERATION: row["operation"]})
    for at_ns, name, attributes in row["events"]:
        _put(span.events.add(time_unix_nano=at_ns, name=name).attributes, attributes)
    for trace_id, span_id in row["links"]:
        span.links.add(trace_id=bytes.fromhex(trace_id), span_id=bytes.fromhex(span_id))
    return request


def _put(target: Any, values: dict[str, str]) -> None:
    for key, value in values.items():
        target.add(key=key).value.string_value = value
