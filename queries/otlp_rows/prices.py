"""What a call costs by its token counts: the sums of the decoder's view (schema/051 and 073), on the same tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

Rates = list[float]
_CONDITIONS = 4
ALWAYS = [-1.0, 0.0, 1440.0, 0.0]
"""The conditions of a row of rates that always holds."""
_UNKNOWN = "the model has no known price"
STANDARD_TIERS = frozenset((b"default", b"auto", b"standard", b"standard_only", b"on_demand", b"none", b"null"))

_OWN = """
SELECT provider, model, [arrayMap(dollars -> ifNull(dollars, -1), [-1, 0, 1440, 0,
    input_usd, ifNull(cached_usd, input_usd), ifNull(cache_write_usd, input_usd), coalesce(cache_write_1h_usd, cache_write_usd, input_usd),
    ifNull(output_usd, 0), ifNull(request_usd, 0), web_search_usd, file_search_usd,
    input_audio_usd, input_audio_usd, output_audio_usd, input_usd, ifNull(output_usd, 0), input_usd])]
FROM model_prices FINAL
WHERE input_usd IS NOT NULL AND source = 'own'
"""
_RESOLVED = """
SELECT provider, request_model, response_model, service_tier, rates, source, reason FROM resolved_prices FINAL
"""


class Price(NamedTuple):
    """What is known for a model: rows of rates, whether they are somebody's own, and why there are none."""

    rates: Sequence[Rates]
    is_own: bool
    reason: str


class Prices:
    """The prices in the store, by what spans name."""

    def __init__(self, query: Callable[[str], Sequence[Sequence[Any]]]) -> None:
        self._own: dict[str, list[Rates]] = {}
        for provider, model, rates in query(_OWN):
            self._own.setdefault(f"{provider} {model}", rates)
        self._resolved: dict[str, Price] = {}
        for provider, request, response, tier, rates, source, reason in query(_RESOLVED):
            key = f"{provider} {request} {response} {tier}"
            self._resolved.setdefault(key, Price(rates, source == "settings", reason))
        self._found: dict[tuple[bytes, bytes, bytes, bytes], Price] = {}

    def of(self, provider: bytes, request: bytes, response: bytes, tier: bytes) -> Price:
        """The price of a call that names these."""
        key = (provider, request, response, tier)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._look_up(*(text.decode() for text in key))
        return found

    def _look_up(self, provider: str, request: str, response: str, tier: str) -> Price:
        for key in (f"{provider} {response}", f"{provider} {request}", f" {response}", f" {request}"):
            if key in self._own:
                return Price([] if tier else self._own[key], True, f"no price for service tier {tier}")
        return self._resolved.get(f"{provider} {request} {response} {tier}") or Price([], False, _UNKNOWN)


class Usage(NamedTuple):
    """Token counts of a call, as the view's columns of the same names."""

    all_input: int
    cached: int
    cache_write: int
    write_1h: int
    paid_output: int
    audio_in: int
    audio_cached: int
    audio_out: int
    image_in: int
    image_out: int
    video_in: int
    web_searches: int
    file_searches: int


def rate_of(rates: Sequence[Rates], all_input: int, began: int) -> Rates | None:
    """The last row that fits, as schema/009 says; None when none does."""
    minute = began % 86_400 // 60
    for row in reversed(rates):
        if all_input > row[0] and row[1] <= minute < row[2] and began >= row[3]:
            return row
    return None


def dollars(rate: Rates, used: Usage) -> float | None:
    """What the call costs; None when the price of a kind of token or search of it is not known."""
    amounts = (
        used.all_input - used.cached - used.cache_write - used.audio_in - used.image_in - used.video_in,
        used.cached - used.audio_cached,
        used.cache_write - used.write_1h,
        used.write_1h,
        used.paid_output - used.audio_out - used.image_out,
        1,
        used.web_searches,
        used.file_searches,
        used.audio_in,
        used.audio_cached,
        used.audio_out,
        used.image_in,
        used.image_out,
        used.video_in,
    )
    total = 0.0
    for amount, each in zip(amounts, rate[_CONDITIONS:], strict=False):
        if amount <= 0:
            continue
        if each < 0:
            return None
        total += float(amount) * each
    return None if math.isnan(total) else total


def few_dollars(rate: Rates, all_input: int, cached: int, paid_output: int) -> float | None:
    """The same as `dollars` for a call that used nothing but these."""
    total = 0.0
    for amount, each in (
        (all_input - cached, rate[4]),
        (cached, rate[5]),
        (paid_output, rate[8]),
        (1, rate[9]),
    ):
        if amount > 0:
            if each < 0:
                return None
            total += amount * each
    return None if math.isnan(total) else total
