"""What calls cost: models that spans name for the first time are looked up in genai-prices' packaged data, offline."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from ..instrument.errors import EvalspanError
from ..queries.database import Store
from ..queries.prices import ModelPrice, models_without_price, set_prices

logger = logging.getLogger(__name__)

_TOKENS = 1000  # few enough for the base tier of prices that rise with the length of the input


class Pricing:
    """Called by the inserter after each insert, in its thread, so that no insert falls between look-up and update."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._since = datetime.now(UTC) - timedelta(seconds=60)  # an insert that a crash left without its prices

    def inserted(self) -> None:
        """Prices what is new; a failure costs a price, never a span."""
        began = datetime.now(UTC)
        try:
            missing = models_without_price(self._store, self._since)
            if missing:
                set_prices(self._store, [price_of(provider, model) for provider, model in missing], self._since)
        except EvalspanError as error:
            logger.warning("no prices for now: %s", error)
            return
        self._since = began - timedelta(seconds=1)


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
