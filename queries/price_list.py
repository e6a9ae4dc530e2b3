"""List prices: what genai-prices' packaged data says of a model, found by whatever names a span carries; offline.

The one look-up of all parts: costs of spans, budgets of judges.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .prices import ABOVE_NOTHING, RATES, UNKNOWN, WHOLE_DAY, ModelKey, ResolvedPrice

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

NO_MODEL = "the model has no known price"

# Names of the conventions, and of instrumentors, that the data knows under another.
_PROVIDERS = {
    "x_ai": "x-ai",
    "xai": "x-ai",
    "azure.ai.inference": "azure",
    "azure_ai_inference": "azure",
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "azure_ai": "azure",
    "gcp.gen_ai": "google",
    "aws.bedrock": "aws",
    "aws.sagemaker": "aws",
    "moonshot_ai": "moonshotai",
    "mistral_ai": "mistral",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "voyage": "voyageai",
    "bedrock_converse": "aws",
    "litellm_proxy": "litellm",
}
# What one's own machines answer has no list price.
_OWN_MACHINES = frozenset(
    {"ollama", "vllm", "hosted_vllm", "llamafile", "llama.cpp", "llama_cpp", "lmstudio", "lm_studio", "local", "sglang", "tgi", "xinference"}
)  # fmt: skip
# Whose models are sold under one name and price, so that a model's name alone says what it costs.
_MAKERS = ("openai", "anthropic", "google", "x-ai", "cohere", "perplexity", "deepseek", "mistral", "moonshotai")
_FALLBACK = {  # where the data has no rate of its own: the one that it is a part of
    "cached_usd": "input_usd",
    "cache_write_usd": "input_usd",
    "cached_audio_usd": "input_audio_usd",
    "input_image_usd": "input_usd",
    "input_video_usd": "input_usd",
    "output_image_usd": "output_usd",
}
_KEYS = {
    "input_usd": ("input_mtok", 1e6),
    "cached_usd": ("cache_read_mtok", 1e6),
    "cache_write_usd": ("cache_write_mtok", 1e6),
    "cache_write_1h_usd": ("cache_write_1h_mtok", 1e6),
    "output_usd": ("output_mtok", 1e6),
    "request_usd": ("requests_kcount", 1e3),
    "web_search_usd": ("web_searches_kcount", 1e3),
    "file_search_usd": ("storage_searches_kcount", 1e3),
    "input_audio_usd": ("input_audio_mtok", 1e6),
    "cached_audio_usd": ("cache_audio_read_mtok", 1e6),
    "output_audio_usd": ("output_audio_mtok", 1e6),
    "input_image_usd": ("input_image_mtok", 1e6),
    "output_image_usd": ("output_image_mtok", 1e6),
    "input_video_usd": ("input_video_mtok", 1e6),
}


def list_price(key: ModelKey) -> ResolvedPrice:
    """The list price of what a span names; without rates, and with a reason, when the data has none."""
    found = None
    for model in dict.fromkeys((key.response_model, key.request_model)):
        found = found or (find(key.provider, model) if model else None)
    if found is None:
        own = key.provider.lower() in _OWN_MACHINES
        return ResolvedPrice(key, "none", reason="a model of one's own machines: set a price" if own else NO_MODEL)
    provider, model_info = found
    rates = list(_rates(provider, model_info, key.service_tier))
    if not rates:
        return ResolvedPrice(key, "none", reason=f"no price for service tier {key.service_tier}")
    return ResolvedPrice(key, "list", rates)


@lru_cache(maxsize=4096)
def find(provider: str, model: str) -> tuple[Provider, ModelInfo] | None:
    """The entry of genai-prices for a provider and model as spans name them; None when there is none, or no genai-prices."""
    try:
        from genai_prices.data_snapshot import get_snapshot
    except ImportError:
        return None
    snapshot = get_snapshot()
    known = provider.strip().lower()
    if known in _OWN_MACHINES:
        return None
    for name, reference in _candidates(known, model.strip()):
        try:
            found_provider, found = snapshot.find_provider_model(reference, None, name or None, None)
        except LookupError:
            continue
        if name or found_provider.id in _MAKERS:
            return found_provider, found
    return None


def _candidates(provider: str, model: str) -> Iterator[tuple[str, str]]:
    """(provider, model) to try, the surest first; "" as provider: by the model's name alone."""
    provider = _PROVIDERS.get(provider, provider)
    yield provider, model
    bare = model
    for prefix in ("models/", "publishers/google/models/", "publishers/anthropic/models/"):
        bare = bare.removeprefix(prefix)
    while (
        "/" in bare
    ):  # openai/gpt-4o, azure/my/gpt-4o, openrouter/anthropic/claude: a gateway's way to name the provider
        maker, _, bare = bare.partition("/")
        yield _PROVIDERS.get(maker.lower(), maker.lower()), bare
    yield provider, bare
    yield "", bare
    for maker in _MAKERS:
        yield maker, bare


def _rates(provider: Provider, model: ModelInfo, tier: str) -> Iterator[list[float]]:
    """Rows of rates, one for each condition and each tier of length; none when the service tier has no price."""
    from genai_prices.types import ConditionalPrice

    standard = model.prices if isinstance(model.prices, list) else [ConditionalPrice(prices=model.prices)]
    if not tier:
        for conditional in standard:
            yield from _priced(provider, conditional.prices.__dict__, conditional.constraint)
        return
    variants = [one for one in model.price_variants or () if list(one.when.values()) == [tier]]
    for number, variant in enumerate(variants):
        # A tier is older than the day on which the data began to know its price.
        constraint = variant.constraint if number else None
        newest = standard[-1].prices if not hasattr(standard[-1].constraint, "start_time") else standard[0].prices
        prices = {**newest.__dict__, **{name: price for name, price in variant.prices.__dict__.items() if price}}
        yield from _priced(provider, prices, constraint)


def _priced(provider: Provider, prices: dict[str, Any], constraint: Any) -> Iterator[list[float]]:
    thresholds = {tier.start for price in prices.values() for tier in getattr(price, "tiers", ())}
    for above in (ABOVE_NOTHING, *sorted(thresholds)):
        found = {name: _rate(prices.get(key), above, per) for name, (key, per) in _KEYS.items()}
        found["request_usd"] = max(found["request_usd"], 0.0)
        if found["output_usd"] == UNKNOWN and found["input_usd"] != UNKNOWN:
            found["output_usd"] = 0.0  # embeddings
        for name, parent in _FALLBACK.items():
            if found[name] == UNKNOWN:
                found[name] = found[parent]
        if provider.id != "openai":  # elsewhere audio is listed where it costs more than text
            for name, parent in (("input_audio_usd", "input_usd"), ("cached_audio_usd", "cached_usd"), ("output_audio_usd", "output_usd")):  # fmt: skip
                found[name] = found[parent] if found[name] == UNKNOWN else found[name]
        for begin, end, since in _times(constraint):
            yield [float(above), float(begin), float(end), since, *(found[name] for name in RATES)]


def _rate(price: Any, above: float, per: float) -> float:
    if price is None:
        return UNKNOWN
    dollars = getattr(price, "base", price)
    for tier in getattr(price, "tiers", ()):
        if above >= tier.start:
            dollars = tier.price
    return float(dollars) / per


def _times(constraint: Any) -> Iterator[tuple[int, int, float]]:
    """From and until which minute of the UTC day, and since which second of 1970."""
    if hasattr(constraint, "start_date"):
        day = datetime.combine(constraint.start_date, datetime.min.time(), UTC)
        yield (*WHOLE_DAY, day.timestamp())
    elif hasattr(constraint, "start_time"):
        begin, end = (_minute(moment) for moment in (constraint.start_time, constraint.end_time))
        if begin <= end:
            yield begin, end, 0.0
        else:  # over midnight
            yield begin, WHOLE_DAY[1], 0.0
            yield 0, end, 0.0
    else:
        yield (*WHOLE_DAY, 0.0)


def _minute(moment: Any) -> int:
    shift = moment.utcoffset()
    minutes = moment.hour * 60 + moment.minute - (int(shift.total_seconds()) // 60 if shift else 0)
    return int(minutes % WHOLE_DAY[1])
