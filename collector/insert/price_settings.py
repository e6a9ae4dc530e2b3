"""`[[prices]]` of evalspan.toml: one's own prices, by provider and model, deployment name or wildcard."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import msgspec

from ...errors import ConfigError
from ...queries.prices import ABOVE_NOTHING, RATES, UNKNOWN, WHOLE_DAY, ModelKey, ResolvedPrice

_MAX_PER_TOKEN = 0.1
_PER_USE = ("request_usd", "web_search_usd", "file_search_usd")


class PriceSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[prices]]`: a price of one's own, before every list price; dollars a token, as in the table model_prices."""

    model: str
    """The request's or the response's model, or a deployment's name; `*` and `?` are wildcards."""
    input_usd: float
    """Dollars for an input token: $2.50 per million is 2.5e-6."""
    output_usd: float = 0.0
    """Dollars for an output token."""
    provider: str = "*"
    """The provider as spans name it; `*` and `?` are wildcards."""
    service_tier: str = ""
    """Empty: the standard tier. flex, priority, batch ..., or `*` for all."""
    cached_usd: float | None = None
    """For a token read from the cache; as an input token when it is not set."""
    cache_write_usd: float | None = None
    """For a token written to the cache; as an input token when it is not set."""
    cache_write_1h_usd: float | None = None
    """For one that is kept for an hour; as `cache_write_usd` when it is not set."""
    request_usd: float = 0.0
    """For every request."""
    web_search_usd: float | None = None
    """For a web search of the provider's; a call with one has no known cost when it is not set."""
    file_search_usd: float | None = None
    """For a search of the provider's storage."""
    input_audio_usd: float | None = None
    """For an audio token of the input."""
    output_audio_usd: float | None = None
    """For an audio token of the output."""

    def __post_init__(self) -> None:
        for name in RATES:
            value = getattr(self, name, None)
            if value is not None and not 0 <= value < float("inf"):
                raise ConfigError(f"[[prices]] {name} of {self.model!r} is {value:g}.", hint="A price is 0 or more.")
            if value is not None and value > _MAX_PER_TOKEN and name not in _PER_USE:
                raise ConfigError(
                    f"[[prices]] {name} of {self.model!r} is {value:g} dollars for one token.",
                    hint=f"Prices are per token: ${value:g} per million tokens is {value / 1e6:g}.",
                )

    def matches(self, key: ModelKey) -> bool:
        """Whether the price is for what a span names."""
        models = [name.lower() for name in (key.request_model, key.response_model) if name]
        return (
            fnmatchcase(key.provider.lower(), self.provider.lower())
            and fnmatchcase(key.service_tier, self.service_tier.lower())
            and any(fnmatchcase(model, self.model.lower()) for model in models)
        )

    @property
    def wildcards(self) -> int:
        """How many of its names are patterns: an exact one counts before them."""
        return sum("*" in name or "?" in name for name in (self.model, self.provider))

    def resolved(self, key: ModelKey) -> ResolvedPrice:
        """The price as the decoder reads it."""
        rates = {name: getattr(self, name, None) for name in RATES}
        fallbacks = {
            "cached_usd": self.input_usd,
            "cache_write_usd": self.input_usd,
            "cache_write_1h_usd": self.input_usd if self.cache_write_usd is None else self.cache_write_usd,
            "cached_audio_usd": self.input_audio_usd,
            "input_image_usd": self.input_usd,
            "output_image_usd": self.output_usd,
            "input_video_usd": self.input_usd,
        }
        found = {name: fallbacks.get(name) if value is None else value for name, value in rates.items()}
        row = [UNKNOWN if value is None else float(value) for value in found.values()]
        return ResolvedPrice(key, "settings", [[ABOVE_NOTHING, *map(float, WHOLE_DAY), 0.0, *row]])


def own_price(settings: Sequence[PriceSetting], key: ModelKey) -> ResolvedPrice | None:
    """The price of one's own for what a span names: an exact one before a wildcard, then the first in the file."""
    fitting = [setting for setting in settings if setting.matches(key)]
    return min(fitting, key=lambda setting: setting.wildcards).resolved(key) if fitting else None
