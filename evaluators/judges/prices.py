"""What a call costs in dollars: by the price given to the judge, else by the table of genai-prices if installed."""

from __future__ import annotations

from functools import lru_cache

Price = tuple[float, float]
"""Dollars per million input tokens, and per million output tokens."""


def cost_usd(model: str, provider: str, input_tokens: int, output_tokens: int, price: Price | None) -> float | None:
    """Dollars, or None when nobody knows the price: unknown is not free."""
    known = price or _listed(model, provider)
    return None if known is None else (input_tokens * known[0] + output_tokens * known[1]) / 1e6


@lru_cache(maxsize=256)
def _listed(model: str, provider: str) -> Price | None:
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return None
    try:
        one = calc_price(Usage(input_tokens=1_000_000, output_tokens=0), model_ref=model, provider_id=provider)
        other = calc_price(Usage(input_tokens=0, output_tokens=1_000_000), model_ref=model, provider_id=provider)
    except LookupError:
        return None
    return float(one.total_price), float(other.total_price)
