"""What a call costs in dollars: by the price given to the judge, else by the table of genai-prices if installed."""

from __future__ import annotations

from functools import lru_cache

from ...queries.price_list import list_price
from ...queries.prices import RATES, ModelKey

Price = tuple[float, float]
"""Dollars per million input tokens, and per million output tokens."""


def cost_usd(model: str, provider: str, input_tokens: int, output_tokens: int, price: Price | None) -> float | None:
    """Dollars, or None when nobody knows the price: unknown is not free."""
    known = price or _listed(model, provider)
    return None if known is None else (input_tokens * known[0] + output_tokens * known[1]) / 1e6


@lru_cache(maxsize=256)
def _listed(model: str, provider: str) -> Price | None:
    """The first row of the list price: of the shortest input, at any hour."""
    found = list_price(ModelKey(provider, model, ""))
    if not found.rates:
        return None
    rates = dict(zip(RATES, found.rates[0][4:], strict=True))
    if rates["input_usd"] < 0 or rates["output_usd"] < 0:
        return None
    return rates["input_usd"] * 1e6, rates["output_usd"] * 1e6
