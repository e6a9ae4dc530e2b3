"""Turns a judge's answer into a checked verdict: one parse, one bounded repair, else no score, never a default."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from ...errors import EvalspanError
from .calling import Answer, Caller, is_transient
from .fencing import fresh_nonce
from .providers import Finish, Message, Reply, Request
from .reply_parsing import parse_json

__all__ = ["Unusable", "Verdict", "add_costs", "ask_structured", "parse_json", "schema_of"]

T = TypeVar("T")
Build = Callable[[str], Request]
"""Makes the request, given the nonce."""
Parse = Callable[[str], T]
"""Makes the verdict of the judge's text; raises ValueError (msgspec's errors are) that says what is wrong."""
MAX_RAISED_TOKENS = 32_000
"""An answer that was cut off is asked for again with more room, up to this many tokens."""
RAISE_BY = 4


class Unusable(EvalspanError):
    """The judge answered, but there is no verdict in what it answered; the message says why."""

    def __init__(self, message: str, *, cost_usd: float | None, endless: bool = False) -> None:
        super().__init__(message)
        self.cost_usd = cost_usd
        self.endless = endless
        """Whether the judge wrote the same again and again until it was cut off: more room would not help."""


class Verdict(msgspec.Struct, frozen=True):
    """A validated answer and what it took."""

    value: Any
    answer: Answer
    cost_usd: float | None
    repaired: bool


async def ask_structured(
    caller: Caller, build: Build, parse: Parse[T], *, texts: tuple[str, ...], repeat: int = 0
) -> Verdict:
    """The judge's verdict. Raises Unusable after one failed repair, and what `Caller.ask` raises.

    Only an answer with a verdict in it is cached: whoever asks again asks the model again.
    """
    # The nonce is random, so it is no part of what the cache knows the question by.
    key = caller.key(build("nonce"), repeat)
    kept = caller.find(key)
    if kept is not None and (value := _parsed(kept.reply, parse)[0]) is not None:
        return Verdict(value, kept, kept.cost_usd, repaired=False)
    request = build(fresh_nonce(*texts))
    answer, cost = await _ask_in_full(caller, request)
    value, problem = _parsed(answer.reply, parse)
    repaired = value is None
    if repaired:
        again = (
            Message("assistant", answer.reply.text or "(empty)"),
            Message(
                "user", f"That does not fit: {problem}. Answer again, with nothing but the JSON that was asked for."
            ),
        )
        try:
            answer, more = await _ask_in_full(caller, _continued(request, again))
        except Unusable as error:
            raise Unusable(str(error), cost_usd=add_costs(cost, error.cost_usd), endless=error.endless) from None
        cost = add_costs(cost, more)
        value, problem = _parsed(answer.reply, parse)
    if value is None:
        raise Unusable(
            f"the judge's answer does not fit its form, also after one repair: {problem}", cost_usd=cost
        ) from None
    caller.keep(key, answer.reply)
    return Verdict(value, answer, cost, repaired=repaired)


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


def _parsed(reply: Reply, parse: Parse[T]) -> tuple[T | None, str]:
    try:
        return parse(reply.text), ""
    except ValueError as problem:
        return None, str(problem)


async def _ask_in_full(caller: Caller, request: Request) -> tuple[Answer, float | None]:
    """An answer that the model finished, and what it cost. Raises Unusable when it was cut off, filtered or refused."""
    cost: float | None = 0.0
    asked = caller.with_room(request)
    reply: Reply | None = None
    while True:
        try:
            answer = await caller.ask(asked)
        except Exception as error:
            if reply is None or is_transient(error):
                raise
            # More room than this model has, or than the budget pays.
            raise Unusable(
                f"{_why_unfinished(reply, request)}; asked with more: {error}",
                cost_usd=cost,
                endless=repeats_itself(reply.text),
            ) from error
        reply = answer.reply
        cost = add_costs(cost, answer.cost_usd)
        if answer.reply.finish is Finish.ANSWERED:
            return answer, cost
        # One raise is always tried; a judge that still goes in circles then would only cost more.
        endless = reply.finish is Finish.CUT_OFF and repeats_itself(reply.text)
        stop = endless and asked.max_tokens > request.max_tokens
        if reply.finish is Finish.CUT_OFF and asked.max_tokens < MAX_RAISED_TOKENS and not stop:
            asked = msgspec.structs.replace(asked, max_tokens=min(asked.max_tokens * RAISE_BY, MAX_RAISED_TOKENS))
            caller.learn_room(request, asked.max_tokens)
            continue
        circles = "; it repeats itself" if endless else ""
        raise Unusable(_why_unfinished(reply, asked) + circles, cost_usd=cost, endless=endless)


def _why_unfinished(reply: Reply, request: Request) -> str:
    said = f": {reply.text[:200]}" if reply.text else ""
    return {
        Finish.CUT_OFF: f"the judge's answer was cut off at max_tokens={request.max_tokens} (finish_reason length){said}",
        Finish.FILTERED: f"the provider's content filter stopped the judge's answer{said}",
        Finish.REFUSED: f"the judge refused to answer{said}",
        Finish.ONLY_REASONING: "the judge only reasoned and wrote no answer (no content beside its reasoning)",
    }[reply.finish]


_DIGITS = re.compile(r"\d+")
_REPEATS = 4
_AT_LEAST = 60
"""Characters that a repetition must fill: four dashes or a row of zeros are none."""


def repeats_itself(text: str) -> bool:
    """Whether the text ends in the same characters (but for digits) at least four times over."""
    tail = _DIGITS.sub("0", text)[-2000:]
    # The last repetition may be cut off anywhere: a period shows at every phase.
    return any(
        len(tail) >= _REPEATS * period >= _AT_LEAST and tail[-_REPEATS * period :] == tail[-period:] * _REPEATS
        for period in range(1, len(tail) // _REPEATS + 1)
    )


def _continued(request: Request, messages: tuple[Message, ...]) -> Request:
    return msgspec.structs.replace(request, messages=(*request.messages, *messages))


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in schema.items() if key not in ("title", "default")}
    if "properties" in kept:
        kept["properties"] = {name: _strict(one) for name, one in kept["properties"].items()}
        kept["required"] = list(kept["properties"])
        kept["additionalProperties"] = False
    return kept
