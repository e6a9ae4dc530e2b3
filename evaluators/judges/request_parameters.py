"""Learns which parameters an endpoint accepts for a model, once, and keeps it for every judge of the process.

Servers refuse parameters with 400 or 422, by name or without, one by one; some know `max_tokens`, some only
`max_completion_tokens`.
"""

from __future__ import annotations

import asyncio
import re
import weakref
from collections.abc import Awaitable, Callable, Iterator
from itertools import combinations, islice
from typing import Any, TypeVar

T = TypeVar("T")
Post = Callable[[dict[str, Any]], Awaitable[T]]

REFUSED = frozenset({400, 422})
LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
# Without these a request still means the same, or is checked by us anyway. In the order in which they are suspected.
OPTIONAL = ("response_format", "top_logprobs", "logprobs", "temperature", "tool_choice", "tools")
# A 400 about these is about this request, and no parameter would help.
_NOT_ABOUT_PARAMETERS = (
    "context length", "context_length", "context window", "too long", "too large", "content management", "content_policy",
    "content policy", "api key", "api_key", "quota", "billing", "does not exist", "not found", "invalid model",
)  # fmt: skip


_UNKNOWN_NAME = re.compile(
    r"unsupported|not supported|unrecogni[sz]ed|unknown|unexpected|extra|not permitted|not allowed|deprecated|\buse\b",
    re.IGNORECASE,
)
MAX_PROBES = 16


class RequestParameters:
    """What one endpoint accepts for one model: what to leave out, and which name the limit of tokens has."""

    def __init__(self) -> None:
        self.changes: frozenset[str] = frozenset()
        """Names of parameters to leave out; the name of a limit means to send it under its other name."""
        self._proven = False
        self._hopeless = False
        self._locks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = weakref.WeakKeyDictionary()

    async def send(self, body: dict[str, Any], post: Post[T]) -> T:
        """The answer to the request, with the changes that are known or that are found to be needed.

        Raises what `post` raises; a refusal that no change helps against is raised as it came first.
        """
        used = self.changes
        try:
            return await self._succeed(body, used, post)
        except Exception as error:
            if not _is_refusal(error):
                raise
            refusal = error
        # Calls that were refused together must not all try their way through: the first one learns for them.
        async with self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            if used != self.changes:
                try:
                    return await self._succeed(body, self.changes, post)
                except Exception as error:
                    if not _is_refusal(error):
                        raise
                    refusal = error
            return await self._learn(body, post, refusal)

    async def _succeed(self, body: dict[str, Any], changes: frozenset[str], post: Post[T]) -> T:
        answer = await post(_changed(body, changes))
        self.changes, self._proven = changes, True
        return answer

    async def _learn(self, body: dict[str, Any], post: Post[T], refusal: Exception) -> T:
        first, changes = refusal, self.changes
        while (name := _named(body, changes, refusal)) is not None:
            changes |= {name}
            try:
                return await self._succeed(body, changes, post)
            except Exception as error:
                if not _is_refusal(error):
                    raise
                refusal = error
        # The refusal names nothing. Where these parameters have worked before, it is about this request.
        if self._proven or self._hopeless or any(word in str(refusal).lower() for word in _NOT_ABOUT_PARAMETERS):
            raise refusal
        for some in _subsets(body, changes):
            try:
                return await self._succeed(body, changes | some, post)
            except Exception as error:
                if not _is_refusal(error):
                    raise
        self._hopeless = True
        raise first


_known: dict[tuple[str, str], RequestParameters] = {}


def parameters_of(endpoint: str, model: str) -> RequestParameters:
    """What this process has learned about a model at an endpoint."""
    return _known.setdefault((endpoint, model), RequestParameters())


def _is_refusal(error: Exception) -> bool:
    return getattr(error, "status_code", None) in REFUSED


def _changed(body: dict[str, Any], changes: frozenset[str]) -> dict[str, Any]:
    made = {}
    for name, value in body.items():
        if name in LIMITS and name in changes:
            made[LIMITS[name]] = value
        elif name not in changes:
            made[name] = value
    return made


def _suspects(body: dict[str, Any], changes: frozenset[str]) -> list[str]:
    return [name for name in (*LIMITS, *OPTIONAL) if name in body and name not in changes]


def _named(body: dict[str, Any], changes: frozenset[str], refusal: Exception) -> str | None:
    """The parameter of the body that the refusal names, None when it names none."""
    said = str(refusal)
    for name in _suspects(body, changes):
        # "max_tokens is too large" is about the value, not about the name.
        if re.search(rf"\b{name}\b", said) and (name not in LIMITS or _UNKNOWN_NAME.search(said)):
            return name
    return None


def _subsets(body: dict[str, Any], changes: frozenset[str]) -> Iterator[frozenset[str]]:
    """Sets of parameters that may be what is refused, the smallest first."""
    suspects = _suspects(body, changes)
    every = (frozenset(some) for size in range(1, len(suspects) + 1) for some in combinations(suspects, size))
    yield from islice(every, MAX_PROBES)
