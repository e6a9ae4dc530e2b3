"""What a span is, and what a call used and cost: the columns that the view otlp_to_otlp_priced of schema/051 and 073 computes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from ...instrument import semconv
from ..role_of_span import CALL, OTHER, ROLE_OF_OPERATION, role_of
from . import names
from .prices import STANDARD_TIERS, Price, Prices, Usage, dollars, rate_of
from .values import EMPTY, Attribute, native, plain

MOST = 2**32 - 1
"""The largest count; more is as much."""
_NO_PRICE = native(b"no price for a kind of token or search of the call")
_TIERS = (semconv.SERVICE_TIER, semconv.OPENAI_RESPONSE_TIER, semconv.OPENAI_REQUEST_TIER)

Attributes = Mapping[str, Attribute]


def text(attributes: Attributes, name: str) -> bytes:
    """The attribute's text as a Native string, the empty one without it."""
    found = attributes.get(name)
    return EMPTY if found is None else found.text


def number(attributes: Attributes, name: str) -> float | None:
    """The attribute's number, None without one."""
    found = attributes.get(name)
    return None if found is None else found.number


def count(attributes: Attributes, name: str) -> int:
    """The attribute as a count of 32 bits, 0 without one."""
    found = attributes.get(name)
    if found is None or found.number is None or found.number <= 0:
        return 0
    return int(min(found.number, MOST))


class Kind(NamedTuple):
    """What a span is: Native strings, and whether it is a call."""

    role: bytes
    operation: bytes
    is_call: bool


def kind_of(attributes: Attributes, *, has_usage: bool, failed: bool) -> Kind:
    """Role and operation of a span."""
    has_model = text(attributes, semconv.REQUEST_MODEL) != EMPTY or text(attributes, semconv.RESPONSE_MODEL) != EMPTY
    said = (semconv.OPERATION, semconv.ROLE, semconv.RESPONSE_STATUS)
    return _kind(*(text(attributes, name) for name in said), has_model, has_usage, failed)


@lru_cache(maxsize=4096)
def _kind(operation: bytes, stated: bytes, status: bytes, has_model: bool, has_usage: bool, failed: bool) -> Kind:
    name, said = plain(operation).decode(), plain(stated).decode()
    role = role_of(
        name,
        model="m" if has_model else "",
        has_usage=has_usage,
        failed=failed,
        status=plain(status).decode(),
        stated=said,
    )
    # A call inside a call keeps its place and is no call: `evalspan.role` says so.
    is_nested = said == OTHER and ROLE_OF_OPERATION.get(name) == CALL
    return Kind(native(role.encode()), EMPTY if is_nested else operation, role == CALL)


def provider_of(attributes: Attributes) -> bytes:
    """The provider, as a Native string."""
    provider = text(attributes, semconv.PROVIDER)
    return provider if provider != EMPTY else text(attributes, names.SYSTEM)


class Call(NamedTuple):
    """Columns of a call; None is NULL."""

    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    cost_usd: float | None
    reported_cost_usd: float | None
    computed_cost_usd: float | None
    unpriced_reason: bytes


def price_of(attributes: Attributes, prices: Prices, provider: bytes) -> Price:
    """The price of a span that names these."""
    tier = next((found for name in _TIERS if (found := text(attributes, name)) != EMPTY), EMPTY).lower()
    models = text(attributes, semconv.REQUEST_MODEL), text(attributes, semconv.RESPONSE_MODEL)
    return prices.of(plain(provider), plain(models[0]), plain(models[1]), _tier(plain(tier)))


def call_of(attributes: Attributes, price: Price, started_ns: int, *, used: bool, failed: bool) -> Call:
    """What a call used and cost; `used` says whether tokens were counted."""
    sent_output = _sent(attributes, semconv.OUTPUT_TOKENS)
    usage, all_input = _usage(attributes, sent_output)
    rate = rate_of(price.rates, usage.all_input, started_ns // 1_000_000_000)
    computed = dollars(rate, usage) if used and rate is not None else None
    reported = number(attributes, semconv.REPORTED_COST_USD)
    reported = number(attributes, names.COST_SAID) if reported is None else reported
    # 0 beside tokens that have a price is what a sender says of a model that it does not know.
    if reported is not None and (reported < 0 or (reported == 0 and computed)):
        reported = None
    cost = number(attributes, semconv.COST_USD)
    for candidate in (computed if price.is_own else None, reported, computed):
        cost = candidate if cost is None else cost
    reason = EMPTY
    if cost is None:
        has_model = any(text(attributes, name) != EMPTY for name in (semconv.REQUEST_MODEL, semconv.RESPONSE_MODEL))
        reason = reason_of(price, has_rate=rate is not None, used=used, failed=failed, has_model=has_model)
    return Call(
        all_input,
        sent_output,
        usage.cached if used else None,
        count(attributes, semconv.REASONING_TOKENS) if used else None,
        cost,
        reported,
        computed,
        reason,
    )


def _tier(tier: bytes) -> bytes:
    return b"" if tier in STANDARD_TIERS else tier


def _sent(attributes: Attributes, name: str) -> int | None:
    found = attributes.get(name)
    if found is None or found.number is None or found.number < 0:
        return None
    return int(min(found.number, MOST))


def _usage(attributes: Attributes, sent_output: int | None) -> tuple[Usage, int | None]:
    sent_input = _sent(attributes, semconv.INPUT_TOKENS)
    cached = count(attributes, semconv.CACHED_TOKENS)
    cache_write = max(count(attributes, semconv.CACHE_WRITE_TOKENS), count(attributes, names.CACHE_CREATION_TOKENS))
    all_input = sent_input
    # More cached than there is: the total leaves out what was cached.
    if sent_input is not None and cached + cache_write > sent_input:
        all_input = min(sent_input + cached + cache_write, MOST)
    paid_output = sent_output or 0
    audio_cached = min(count(attributes, semconv.CACHED_AUDIO_TOKENS), cached)
    audio_out = min(count(attributes, semconv.AUDIO_OUTPUT_TOKENS), paid_output)
    usage = Usage(
        all_input=all_input or 0,
        cached=cached,
        cache_write=cache_write,
        write_1h=min(count(attributes, names.CACHE_WRITE_1H_TOKENS), cache_write),
        paid_output=paid_output,
        audio_in=max(count(attributes, semconv.AUDIO_INPUT_TOKENS) - audio_cached, 0),
        audio_cached=audio_cached,
        audio_out=audio_out,
        image_in=count(attributes, semconv.IMAGE_INPUT_TOKENS),
        image_out=min(count(attributes, semconv.IMAGE_OUTPUT_TOKENS), paid_output - audio_out),
        video_in=count(attributes, semconv.VIDEO_INPUT_TOKENS),
        web_searches=count(attributes, semconv.WEB_SEARCHES),
        file_searches=count(attributes, semconv.FILE_SEARCHES),
    )
    return usage, all_input


def reason_of(price: Price, *, has_rate: bool, used: bool, failed: bool, has_model: bool) -> bytes:
    """Why a call has no cost, as a Native string."""
    if not used:
        return native(b"the call failed" if failed else b"no token counts were sent")
    if not has_model:
        return native(b"no model was sent")
    return _NO_PRICE if has_rate else native(price.reason.encode())
