"""Asks a model one question well: cache, budget, pace, timeout, retries with backoff, untraced, with its cost.

Judges build the question; `providers.py` sends it.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec

from ...errors import EvalspanError
from ...instrument.suppression import suppress
from .budget import Budget, current_budget
from .cache import AnswerCache
from .concurrency_limiter import pace_of
from .prices import Price, cost_usd
from .providers import Provider, Reply, Request, stable_address

RETRIES = 4
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
_CHARACTERS_PER_TOKEN = 3  # on the safe side for most languages; only used to set a budget aside


class JudgeUnavailable(EvalspanError):
    """The judge's endpoint gave no usable answer after all retries."""


class Answer(msgspec.Struct, frozen=True):
    """A model's reply with what it cost: 0 when it came from the cache, None when the price is unknown."""

    reply: Reply
    cost_usd: float | None
    cached: bool


class Caller:
    """One model at one provider, with everything around the call."""

    def __init__(
        self,
        provider: Provider,
        *,
        cache: AnswerCache | None = None,
        budget: Budget | None = None,
        price: Price | None = None,
        timeout_s: float = 60.0,
        retries: int = RETRIES,
    ) -> None:
        self.provider = provider
        self.cache = cache
        self.budget = budget
        self.price = price
        self.timeout_s = timeout_s
        self.retries = retries

    @property
    def identity(self) -> str:
        """The provider as part of a judge's version."""
        return stable_address(self.provider.key)

    async def ask(self, request: Request, *, repeat: int = 0, key: str | None = None) -> Answer:
        """The answer; `key` stands for the request in the cache when the request holds something random.

        Raises BudgetSpent before a call that the budget does not allow, JudgeUnavailable after the last retry, and
        the SDK's error where a retry cannot help (a wrong key, an unknown model).
        """
        budget = self.budget or current_budget() or Budget()
        if self.cache is not None:
            key = key or self.cache.key(self.provider.key, request, repeat)
            kept = self.cache.get(key)
            if kept is not None:
                budget.book_cached()
                return Answer(kept, 0.0, cached=True)
        asked = _tokens_at_most(request)
        at_most = cost_usd(request.model, self._provider_name, asked, request.max_tokens, self.price)
        with budget.hold(request.model, asked + request.max_tokens, at_most), suppress():
            reply = await self._persist(request)
        cost = cost_usd(request.model, self._provider_name, reply.input_tokens, reply.output_tokens, self.price)
        budget.book(reply.input_tokens, reply.output_tokens, cost)
        if self.cache is not None and key is not None:
            self.cache.put(key, reply)
        return Answer(reply, cost, cached=False)

    @property
    def _provider_name(self) -> str:
        return self.provider.key.split(" ", 1)[0]

    async def _persist(self, request: Request) -> Reply:
        pace = pace_of(self.provider.key)
        for attempt in range(self.retries + 1):
            try:
                async with pace.slot():
                    async with asyncio.timeout(self.timeout_s):
                        reply = await self.provider.complete(request, self.timeout_s)
                    pace.succeeded()
                    return reply
            except Exception as error:
                if not _is_passing(error):
                    raise
                pause = _pause_s(error, attempt)
                if _is_congestion(error):
                    pace.refused(pause)
                if attempt == self.retries:
                    raise JudgeUnavailable(
                        f"{self.provider.key} gave no answer in {attempt + 1} attempts; last: {type(error).__name__}: {error}",
                        hint="check the endpoint and its rate limit",
                    ) from error
                await asyncio.sleep(pause)
        raise AssertionError("unreachable")


def _tokens_at_most(request: Request) -> int:
    characters = len(request.system) + sum(len(message.text) for message in request.messages)
    return characters // _CHARACTERS_PER_TOKEN + 1


def _status(error: Exception) -> int | None:
    status: Any = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def _is_congestion(error: Exception) -> bool:
    return _status(error) in (429, 503, 529)


def _is_passing(error: Exception) -> bool:
    status = _status(error)
    if status is not None:
        return status in (408, 409, 429) or status >= 500
    # The SDKs' connection and timeout errors have no status.
    return isinstance(error, TimeoutError) or type(error).__name__ in ("APIConnectionError", "APITimeoutError")


def _pause_s(error: Exception, attempt: int) -> float:
    headers: Any = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return min(LONGEST_PAUSE_S, float(headers.get("retry-after", "")))
    except ValueError:
        # Full jitter (Brooker 2015): callers that were refused together do not come back together.
        return random.uniform(0.0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt)) + 0.05
