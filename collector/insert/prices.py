"""What calls cost: models that spans name for the first time are looked up in genai-prices' packaged data, offline."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ...errors import EvalspanError
from ...instrument import semconv
from ...queries.prices import ModelPrice, models_without_price, price_spans, remember_prices
from ...queries.store.client import Store
from ..log import framing

logger = logging.getLogger(__name__)

_TOKENS = 1000  # few enough for the base tier of prices that rise with the length of the input


# Look through what is small before its insert: there the time is. A large segment comes from a busy collector, where
# nearly every model is known; what is not gets its price a moment after the insert.
_SMALL_BYTES = 256 * 1024
_REMEMBERED = 10_000
_PROVIDER, _MODEL = (semconv.PROVIDER, "gen_ai.system"), (semconv.RESPONSE_MODEL, semconv.REQUEST_MODEL)
_NAMES = frozenset(_PROVIDER + _MODEL)


class Pricing:
    """Stands around every insert of spans, in the inserter's thread; a failure costs a price, never a span."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._since = datetime.now(UTC) - timedelta(seconds=60)  # an insert that a crash left without its prices
        self._looked_up: set[tuple[str, str]] = set()

    def insert(self, segment: bytes, token: str) -> None:
        """Inserts the segment, its models priced; raises what the store raises."""
        priced = len(segment) <= _SMALL_BYTES and self._before(segment)
        self._store.insert_otlp(segment, token=token)
        if not priced:
            self._after()

    def _before(self, segment: bytes) -> bool:
        """Prices what the segment is the first to name; whether that went well."""
        missing = models_in(segment) - self._looked_up
        try:
            if missing:
                remember_prices(self._store, [price_of(provider, model) for provider, model in missing])
        except EvalspanError as error:
            logger.warning("no prices for now: %s", error)
            return False
        if len(self._looked_up) > _REMEMBERED:  # names without end cannot be models
            self._looked_up.clear()
        self._looked_up |= missing
        return True

    def _after(self) -> None:
        began = datetime.now(UTC)
        try:
            missing = models_without_price(self._store, self._since)
            if missing:
                prices = [price_of(provider, model) for provider, model in missing]
                remember_prices(self._store, prices)
                price_spans(self._store, prices, self._since)
        except EvalspanError as error:
            logger.warning("no prices for now: %s", error)
            return
        self._since = began - timedelta(seconds=1)


def models_in(segment: bytes) -> set[tuple[str, str]]:
    """(provider, model) of the spans in a segment of the log, by the names that the decoder promotes."""
    found = set()
    for record in framing.records(segment):
        try:
            request = ExportTraceServiceRequest.FromString(record.body)
        except DecodeError:
            continue  # the store says what is wrong with it
        for resource_spans in request.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    sent = {one.key: one.value.string_value for one in span.attributes if one.key in _NAMES}
                    model = _first(sent, _MODEL)
                    if model:
                        found.add((_first(sent, _PROVIDER), model))
    return found


def _first(sent: dict[str, str], names: tuple[str, ...]) -> str:
    return next((sent[name] for name in names if sent.get(name)), "")


def price_of(provider: str, model: str) -> ModelPrice:
    """Dollars a token in the base tier; without numbers when genai-prices does not know the model of that provider."""
    # Here: 25 MB that a collector without unpriced spans does without.
    from genai_prices import Usage, calc_price

    def dollars(usage: Usage) -> float:
        return float(calc_price(usage, model_ref=model, provider_id=provider or None).total_price) / _TOKENS

    try:
        return ModelPrice(
            provider,
            model,
            input_usd=dollars(Usage(input_tokens=_TOKENS)),
            cached_usd=dollars(Usage(input_tokens=_TOKENS, cache_read_tokens=_TOKENS)),
            output_usd=dollars(Usage(output_tokens=_TOKENS)),
        )
    except (LookupError, ValueError):
        return ModelPrice(provider, model)
