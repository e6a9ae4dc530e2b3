"""Prices in the store: `resolved_prices` is what the collector found for the models that spans name; the decoder reads it.

One's own prices stand in `model_prices`, by hand, and are never written by evalspan.
"""

from __future__ import annotations

import msgspec

from ..instrument import semconv
from .store.protocol import StoreClient

UNKNOWN = -1.0
WHOLE_DAY = (0, 1440)
ABOVE_NOTHING = -1.0
RATES = (
    "input_usd",
    "cached_usd",
    "cache_write_usd",
    "cache_write_1h_usd",
    "output_usd",
    "request_usd",
    "web_search_usd",
    "file_search_usd",
    "input_audio_usd",
    "cached_audio_usd",
    "output_audio_usd",
    "input_image_usd",
    "output_image_usd",
    "input_video_usd",
)
"""What a row of rates holds behind its four conditions, in this order: dollars a token, a request, a search."""


class ModelKey(msgspec.Struct, frozen=True):
    """What a price is looked up by: the names that a span carries."""

    provider: str
    request_model: str
    response_model: str
    service_tier: str = ""


_STANDARD_TIERS = frozenset({"default", "auto", "standard", "standard_only", "on_demand", "none", "null"})
_PROVIDER = (semconv.PROVIDER, "gen_ai.system")
_TIER = (semconv.SERVICE_TIER, semconv.OPENAI_RESPONSE_TIER, semconv.OPENAI_REQUEST_TIER)
NAMES = frozenset({*_PROVIDER, *_TIER, semconv.REQUEST_MODEL, semconv.RESPONSE_MODEL})
"""Attributes that a price is looked up by."""


def key_of(names: dict[str, str]) -> ModelKey | None:
    """What a span is priced by, from its attributes in NAMES; None without a model. The decoder reads the same."""
    get = names.get
    request_model, response_model = get(semconv.REQUEST_MODEL) or "", get(semconv.RESPONSE_MODEL) or ""
    if not request_model and not response_model:
        return None
    provider = next((names[name] for name in _PROVIDER if get(name)), "")
    tier = next((names[name].lower() for name in _TIER if get(name)), "")
    return ModelKey(provider, request_model, response_model, "" if tier in _STANDARD_TIERS else tier)


class ResolvedPrice(msgspec.Struct, frozen=True):
    """The price of one key; without `rates` when nobody knows one, and then `reason` says why."""

    key: ModelKey
    source: str
    """settings, list or none."""
    rates: list[list[float]] = []
    """Rows of: above so many input tokens, from and until which minute of the UTC day, since which second of 1970, RATES."""
    reason: str = ""


def remember_prices(store: StoreClient, prices: list[ResolvedPrice]) -> None:
    """From here on the decoder knows these prices, or why there is none."""
    rows = [
        {
            **msgspec.structs.asdict(price.key),
            "source": price.source,
            "rates": price.rates,
            "reason": price.reason,
        }
        for price in prices
    ]
    store.insert("resolved_prices", rows)
