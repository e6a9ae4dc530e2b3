"""The settings that every judge shares: which model, where, and what holds its calls; makes the Caller of them."""

from __future__ import annotations

from typing import Literal, TypedDict

from ...errors import UsageError
from .budget import Budget
from .cache import AnswerCache
from .calling import RETRIES, Caller
from .prices import Price
from .providers import Provider, connect


class Connection(TypedDict, total=False):
    """Keyword arguments of the judges."""

    provider: str | Provider
    """"openai" (and all that is compatible), "anthropic", or an object of your own; guessed from the model's name."""
    base_url: str | None
    api_key: str | None
    cache: AnswerCache | Literal[False] | None
    """False keeps nothing; None is the cache that EVALSPAN_CACHE and `--cache-dir` name."""
    budget: Budget | None
    price: Price | None
    """Dollars per million input and output tokens, where the list does not know the model."""
    call_timeout_s: float
    retries: int


def caller_for(model: str, settings: Connection) -> tuple[str, Caller]:
    """The model's bare name and the caller for it; `anthropic/claude-x` names the provider too.

    Raises UsageError for an empty model, an unknown provider or a misspelt setting.
    """
    if not model:
        raise UsageError("a judge needs a model", hint='for example model="gpt-4o-mini"')
    unknown = settings.keys() - Connection.__annotations__.keys()
    if unknown:
        raise UsageError(
            f"judges have no setting {', '.join(sorted(unknown))}",
            hint=f"there are {', '.join(Connection.__annotations__)}",
        )
    prefix, slash, bare = model.partition("/")
    provider = settings.get("provider")
    if provider is None and slash and prefix in ("openai", "anthropic"):
        provider, model = prefix, bare
    if provider is None:
        provider = "anthropic" if model.startswith("claude") and not settings.get("base_url") else "openai"
    if isinstance(provider, str):
        provider = connect(provider, base_url=settings.get("base_url"), api_key=settings.get("api_key"))
    cache = settings.get("cache")
    return model, Caller(
        provider,
        cache=None if cache is False else cache or AnswerCache(),
        budget=settings.get("budget"),
        price=settings.get("price"),
        timeout_s=settings.get("call_timeout_s", 60.0),
        retries=settings.get("retries", RETRIES),
    )
