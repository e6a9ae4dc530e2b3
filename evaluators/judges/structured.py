"""Turns a judge's text into a validated answer: one strict parse, one bounded repair, else no score, never a default."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from ...errors import EvalspanError
from .calling import Answer, Caller
from .fencing import fresh_nonce
from .providers import Message, Request

T = TypeVar("T")
Build = Callable[[str], Request]
"""Makes the request, given the nonce."""
Parse = Callable[[str], T]
"""Makes the verdict of the judge's text; raises ValueError (msgspec's errors are) that says what is wrong."""


class Unusable(EvalspanError):
    """The judge's answer did not fit its form, twice."""

    def __init__(self, message: str, *, cost_usd: float | None) -> None:
        super().__init__(message)
        self.cost_usd = cost_usd


class Verdict(msgspec.Struct, frozen=True):
    """A validated answer and what it took."""

    value: Any
    answer: Answer
    cost_usd: float | None
    repaired: bool


async def ask_structured(
    caller: Caller, build: Build, parse: Parse[T], *, texts: tuple[str, ...], repeat: int = 0
) -> Verdict:
    """The judge's verdict. Raises Unusable after one failed repair, and what `Caller.ask` raises."""
    # The nonce is random, so it is no part of what the cache knows the question by.
    kept_as = build("nonce")
    request = build(fresh_nonce(*texts))
    answer = await _ask(caller, request, kept_as, repeat)
    try:
        return Verdict(parse(answer.reply.text), answer, answer.cost_usd, repaired=False)
    except ValueError as problem:
        again = (
            Message("assistant", answer.reply.text or "(empty)"),
            Message(
                "user", f"That does not fit: {problem}. Answer again, with nothing but the JSON that was asked for."
            ),
        )
    repair = await _ask(caller, _continued(request, again), _continued(kept_as, again), repeat)
    cost = add_costs(answer.cost_usd, repair.cost_usd)
    try:
        return Verdict(parse(repair.reply.text), repair, cost, repaired=True)
    except ValueError as problem:
        raise Unusable(
            f"the judge's answer does not fit its form, also after one repair: {problem}", cost_usd=cost
        ) from None


def parse_json(text: str, kind: type[T]) -> T:
    """The JSON document in a judge's text, which may stand in a fence or in prose, as a checked struct.

    Raises ValueError that says what does not fit; nothing is converted, a score of "4" is not a 4.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        found = re.search(r"\{.*\}", text, re.DOTALL)
        if found is None:
            raise ValueError(f"no JSON object in {text[:80]!r}") from None
        return msgspec.json.decode(found.group(), type=kind)


@lru_cache(maxsize=64)
def schema_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON Schema of a struct, in the strict subset that providers enforce: all required, nothing more allowed."""
    (schema,), components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    defined = {name: _strict(one) for name, one in components.items()}
    root = defined.pop(kind.__name__) if "$ref" in schema else _strict(schema)
    return {**root, "$defs": defined} if defined else root


def add_costs(*costs: float | None) -> float | None:
    """The sum; None as soon as one is unknown."""
    return None if any(cost is None for cost in costs) else sum(cost or 0.0 for cost in costs)


async def _ask(caller: Caller, request: Request, kept_as: Request, repeat: int) -> Answer:
    key = caller.cache.key(caller.provider.key, kept_as, repeat) if caller.cache is not None else None
    return await caller.ask(request, repeat=repeat, key=key)


def _continued(request: Request, messages: tuple[Message, ...]) -> Request:
    return msgspec.structs.replace(request, messages=(*request.messages, *messages))


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in schema.items() if key not in ("title", "default")}
    if "properties" in kept:
        kept["properties"] = {name: _strict(one) for name, one in kept["properties"].items()}
        kept["required"] = list(kept["properties"])
        kept["additionalProperties"] = False
    return kept
