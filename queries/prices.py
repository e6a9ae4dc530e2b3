"""Prices of models in the store: which are missing, and what happens to the spans when one becomes known.

The decoder's view multiplies tokens by `model_prices` as it writes spans, so a known model costs nothing extra.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from .store.client import Store

# Spans around calls repeat their tokens: pricing them would count every call twice. The view leaves out the same.
_CALLS = "operation NOT IN ('invoke_agent', 'invoke_workflow', 'execute_tool')"
_MODEL = "if(response_model != '', response_model, request_model)"

_MISSING = f"""
SELECT DISTINCT provider, {_MODEL} AS model
FROM spans
WHERE inserted_at >= {{since:DateTime64(3, 'UTC')}} AND cost_usd IS NULL AND input_tokens + output_tokens > 0 AND {_CALLS}
  AND model != '' AND (provider, model) NOT IN (SELECT provider, model FROM model_prices)
LIMIT 200
"""  # noqa: S608 - constants of this module

_APPLY = f"""
ALTER TABLE spans UPDATE cost_usd =
    greatest(toInt64(input_tokens) - cached_tokens, 0) * {{input:Float64}} + cached_tokens * {{cached:Float64}}
    + output_tokens * {{output:Float64}}
WHERE cost_usd IS NULL AND input_tokens + output_tokens > 0 AND {_CALLS} AND inserted_at >= {{since:DateTime64(3, 'UTC')}}
  AND provider = {{provider:String}} AND {_MODEL} = {{model:String}}
"""


class ModelPrice(msgspec.Struct, frozen=True):
    """Dollars a token; `input_usd` None when nobody knows."""

    provider: str
    model: str
    input_usd: float | None = None
    cached_usd: float | None = None
    output_usd: float | None = None


def models_without_price(store: Store, since: datetime) -> list[tuple[str, str]]:
    """(provider, model) of spans stored at `since` or later that have tokens, no cost, and were never looked up."""
    return [(provider, model) for provider, model in store.query(_MISSING, {"since": since}).rows]


def remember_prices(store: Store, prices: list[ModelPrice]) -> None:
    """From here on the decoder knows these prices, or knows that nobody knows them."""
    store.insert("model_prices", [msgspec.structs.asdict(price) for price in prices])


def price_spans(store: Store, prices: list[ModelPrice], since: datetime) -> None:
    """Gives spans without a cost that were stored at `since` or later theirs."""
    for price in prices:
        if price.input_usd is None:
            continue
        cached = price.input_usd if price.cached_usd is None else price.cached_usd
        numbers = {"input": price.input_usd, "cached": cached, "output": price.output_usd or 0.0}
        store.command(_APPLY, {"since": since, "provider": price.provider, "model": price.model, **numbers})
