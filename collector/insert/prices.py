"""What calls cost: models that spans name for the first time get their price before those spans are inserted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ...errors import EvalspanError
from ...queries.price_list import list_price
from ...queries.prices import NAMES, ModelKey, ResolvedPrice, key_of, remember_prices
from ...queries.store.client import Store
from ..log import framing
from .price_settings import PriceSetting, own_price
from .repricing import reprice

logger = logging.getLogger(__name__)

# What is small is parsed before its insert: there the time is. What a busy receiver took has been announced by it.
_SMALL_BYTES = 256 * 1024
_REMEMBERED = 10_000


class Pricing:
    """Stands around every insert of spans, in the inserter's thread; a failure costs a price, never a span."""

    def __init__(self, store: Store, settings: Sequence[PriceSetting] = ()) -> None:
        self._store, self._settings = store, settings
        self._resolved: set[ModelKey] = set()
        self._announced: set[ModelKey] = set()
        self._owed: set[ModelKey] = set()  # prices that could not be written: calls were stored without them
        self._owed_since = 0.0
        self._lock = threading.Lock()
        self._began_ms = time.time_ns() // 1_000_000

    def announce(self, keys: Iterable[ModelKey]) -> None:
        """The receiver saw these: they are resolved before the segment that holds them is inserted. From any thread."""
        new = [key for key in keys if key not in self._resolved]
        if new:
            with self._lock:
                self._announced.update(new)

    def insert(self, segment: bytes, token: str) -> None:
        """Inserts the segment, its models priced; raises what the store raises."""
        with self._lock:
            named, self._announced = self._announced, set()
        if self._has_to_be_read(segment):
            named |= models_in(segment)
        self._resolve(named)
        self._store.insert_otlp(segment, token=token)
        if not self._owed.isdisjoint(self._resolved):
            self._pay()

    def _pay(self) -> None:
        """The calls that were stored while their price could not be written get it."""
        known, seconds = self._owed & self._resolved, int(time.monotonic() - self._owed_since) + 60
        self._owed -= known
        try:
            self.reprice(seconds, known)
        except EvalspanError as error:
            self._owed |= known
            logger.warning("calls of %d models stay without a cost for now: %s", len(known), error)

    def reprice(self, seconds: int, only: Iterable[ModelKey] | None = None) -> int:
        """Prices the calls that were stored in the last `seconds` without a cost; how many. Raises what the store raises."""
        return reprice(self._store, self.insert, self.price_of, seconds, only)

    def _has_to_be_read(self, segment: bytes) -> bool:
        """Whether nobody announced the models: what an earlier process received, and what costs nothing to read."""
        if len(segment) <= _SMALL_BYTES:
            return True
        first = next(framing.records(segment), None)
        return first is not None and first.received_ms < self._began_ms

    def _resolve(self, named: set[ModelKey]) -> None:
        missing = named - self._resolved
        if not missing:
            return
        try:
            remember_prices(self._store, [self.price_of(key) for key in missing])
        except EvalspanError as error:
            logger.warning("prices are not stored for now, %d models stay without: %s", len(missing), error)
            self._owed_since = self._owed_since if self._owed else time.monotonic()
            self._owed |= missing
            return
        if len(self._resolved) > _REMEMBERED:  # names without end cannot be models
            self._resolved.clear()
        self._resolved |= missing

    def price_of(self, key: ModelKey) -> ResolvedPrice:
        """The price of one's own, else the list price."""
        return own_price(self._settings, key) or list_price(key)


def models_in(segment: bytes) -> set[ModelKey]:
    """What the spans in a segment of the log are priced by."""
    found = set()
    for record in framing.records(segment):
        try:
            request = ExportTraceServiceRequest.FromString(record.body)
        except DecodeError:
            continue  # the store says what is wrong with it
        for resource_spans in request.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    key = key_of({one.key: one.value.string_value for one in span.attributes if one.key in NAMES})
                    if key is not None:
                        found.add(key)
    return found
