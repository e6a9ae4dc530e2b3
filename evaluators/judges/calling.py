"""Asks a model one question well: cache, budget, concurrency limit, retries with backoff, untraced, with its cost.

Judges build the question; `providers.py` sends it.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import msgspec

from ...errors import EvalspanError
from ...instrument.request_replay import replaying
from ...instrument.suppression import suppress
from ..contract import UnscoredCause
from .budget import Budget, current_budget
from .cache import AnswerCache
from .concurrency_limiter import limiter_of
from .prices import Price, cost_usd
from .providers import Provider, Reply, Request, stable_address

RETRIES = 4
FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 30.0
MAX_CALL_S = 240.0
"""All attempts of one call together; a judge's own limit (`timeout_s`) is a little longer."""
TRANSIENT = frozenset({408, 409, 425, 429})
"""HTTP statuses that may pass; all from 500 up may too."""
CONGESTION = frozenset({429, 503, 529})
_CHARACTERS_PER_TOKEN = 3  # on the safe side for most languages; only used to reserve a budget


class JudgeUnavailable(EvalspanError):
    """The judge's endpoint gave no usable answer after all retries."""

    cause = UnscoredCause.TRANSIENT


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
        self._room: dict[str, int] = {}

    @property
    def identity(self) -> str:
        """The provider as part of a judge's version."""
        return stable_address(self.provider.key)

    def key(self, request: Request, repeat: int) -> str:
        """What the cache knows the answer to this request by; '' without a cache."""
        return "" if self.cache is None else self.cache.key(self.provider.key, request, repeat)

    def find(self, key: str) -> Answer | None:
        """The kept answer, at no cost."""
        kept = self.cache.get(key) if self.cache is not None else None
        if kept is None:
            return None
        self._budget().record_cached()
        return Answer(kept, 0.0, cached=True)

    def keep(self, key: str, reply: Reply) -> None:
        """Keeps an answer that proved usable."""
        if self.cache is not None:
            self.cache.put(key, reply)

    def with_room(self, request: Request) -> Request:
        """The request with as many tokens as answers of this model turned out to need."""
        needed = max(request.max_tokens, self._room.get(request.model, 0))
        return request if needed == request.max_tokens else msgspec.structs.replace(request, max_tokens=needed)

    def learn_room(self, request: Request, max_tokens: int) -> None:
        """Remembers that answers of this model were cut off below `max_tokens`."""
        self._room[request.model] = max(max_tokens, self._room.get(request.model, 0))

    async def ask(self, request: Request) -> Answer:
        """The answer, from the model itself.

        Raises BudgetSpent before a call that the budget does not allow, JudgeUnavailable after the last retry, and
        the SDK's error where a retry cannot help (a wrong key, an unknown model).
        """
        # A judge keeps its own answers, once they proved usable, and leaves no spans in the app's traces.
        with suppress(), replaying(None):
            reply = await self.call_with_retry(request)
        cost = self._cost(request, reply.input_tokens, reply.output_tokens)
        self._budget().record(reply.input_tokens, reply.output_tokens, cost)
        return Answer(reply, cost, cached=False)

    async def call_with_retry(self, request: Request) -> Reply:
        """One answer in at most `retries` + 1 attempts, each within `timeout_s`, all within MAX_CALL_S and the budget."""
        limiter = limiter_of(self.provider.key)
        asked = _tokens_at_most(request)
        deadline = time.monotonic() + max(MAX_CALL_S, self.timeout_s)
        for attempt in range(self.retries + 1):
            try:
                with self._budget().reserve(
                    request.model, asked + request.max_tokens, self._cost(request, asked, request.max_tokens)
                ):
                    async with limiter.slot():
                        async with asyncio.timeout(self.timeout_s):
                            reply = await self.provider.complete(request, self.timeout_s)
                        limiter.succeeded()
                        return reply
            except Exception as error:
                if not is_transient(error):
                    raise
                if _is_timeout(error):
                    # The provider may have read the question, and may bill it.
                    self._budget().record(asked, 0, self._cost(request, asked, 0))
                pause = _pause_s(error, attempt)
                if status_of(error) in CONGESTION:
                    limiter.refused(pause)
                if attempt == self.retries or time.monotonic() + pause > deadline:
                    raise JudgeUnavailable(
                        f"{self.provider.key} gave no answer in {attempt + 1} attempts; last: {type(error).__name__}: {error}",
                        hint="check the endpoint and its rate limit",
                    ) from error
                await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    def _budget(self) -> Budget:
        return self.budget or current_budget() or Budget()

    def _cost(self, request: Request, input_tokens: int, output_tokens: int) -> float | None:
        provider = self.provider.key.split(" ", 1)[0]
        return cost_usd(request.model, provider, input_tokens, output_tokens, self.price)


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error, None where there was none."""
    status: Any = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    status = status_of(error)
    if status is not None:
        return status in TRANSIENT or status >= 500
    # The SDKs' connection and timeout errors have no status.
    return isinstance(error, TimeoutError) or type(error).__name__ in ("APIConnectionError", "APITimeoutError")


def _is_timeout(error: BaseException) -> bool:
    return isinstance(error, TimeoutError) or type(error).__name__ == "APITimeoutError"


def _tokens_at_most(request: Request) -> int:
    characters = len(request.system) + sum(len(message.text) for message in request.messages)
    return characters // _CHARACTERS_PER_TOKEN + 1


def _pause_s(error: Exception, attempt: int) -> float:
    headers: Any = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        asked_for = float(headers.get("retry-after", ""))
    except ValueError:
        asked_for = -1.0
    if asked_for >= 0:  # NaN is not
        return min(MAX_PAUSE_S, asked_for)
    # Full jitter (Brooker 2015): callers that were refused together do not come back together.
    return random.uniform(0.0, min(MAX_PAUSE_S, FIRST_PAUSE_S * 2**attempt)) + 0.05
