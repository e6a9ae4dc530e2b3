"""Spans of the same instrumentation have the same attributes in the same order: where each one stands is found out once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from ...instrument import semconv
from . import names
from .values import EMPTY, Attribute, plain

LABELS = (
    semconv.OPERATION,
    semconv.ROLE,
    semconv.RESPONSE_STATUS,
    semconv.PROVIDER,
    names.SYSTEM,
    semconv.SERVICE_TIER,
    semconv.OPENAI_RESPONSE_TIER,
    semconv.OPENAI_REQUEST_TIER,
    semconv.ENVIRONMENT,
    *names.TAKEN_OVER,
)
"""Attributes of few different values: what follows from them is found out once for each combination."""
_COUNTED = frozenset({semconv.INPUT_TOKENS, semconv.OUTPUT_TOKENS, semconv.CACHED_TOKENS, semconv.REASONING_TOKENS})
_ELSEWHERE = frozenset({semconv.TIME_TO_FIRST_CHUNK, semconv.SAMPLE_WEIGHT})


class Shape:
    """Where in a sequence of keys the attributes stand that columns are made of; the first of a name counts."""

    __slots__ = (
        "bodies_in",
        "bodies_out",
        "cached",
        "ids",
        "input_tokens",
        "instructions",
        "is_simple",
        "labels",
        "labels_of",
        "output_tokens",
        "places",
        "query",
        "reasoning",
        "ttft",
        "weight",
    )

    def __init__(self, keys: Sequence[bytes]) -> None:
        places: dict[str, int] = {}
        for place, key in enumerate(keys):
            name = plain(key)
            if name in names.WANTED:
                places.setdefault(name.decode(), place)
        self.places = places
        self.labels = tuple(name for name in LABELS if name in places)
        self.labels_of: Callable[[Sequence[bytes]], Any] = (
            itemgetter(*(places[name] for name in self.labels)) if self.labels else lambda _: ()
        )
        self.bodies_in = self._candidates(names.BODIES_IN)
        self.bodies_out = self._candidates(names.BODIES_OUT)
        self.query = places.get(semconv.RETRIEVAL_QUERY, -1)
        self.ids = tuple(
            (column, found)
            for column, candidates in names.FIRST_FILLED.items()
            if (found := tuple(places[name] for name in candidates if name in places))
        )
        get = places.get
        self.instructions = get(semconv.SYSTEM_INSTRUCTIONS)
        self.input_tokens, self.output_tokens = get(semconv.INPUT_TOKENS), get(semconv.OUTPUT_TOKENS)
        self.cached, self.reasoning = get(semconv.CACHED_TOKENS), get(semconv.REASONING_TOKENS)
        self.ttft, self.weight = get(semconv.TIME_TO_FIRST_CHUNK), get(semconv.SAMPLE_WEIGHT)
        self.is_simple = names.NUMBERS.isdisjoint(places.keys() - _COUNTED - _ELSEWHERE)
        """Whether nothing is counted but tokens in, out, cached and of reasoning."""

    def _candidates(self, candidates: Sequence[str]) -> tuple[tuple[int, bool], ...]:
        """Places, in the order in which they are looked at, and whether one counts even when it is empty."""
        return tuple((self.places[name], name == candidates[-1]) for name in candidates if name in self.places)

    def labelled(self, texts: Sequence[bytes]) -> dict[str, Attribute]:
        """The labels as attributes by name."""
        return {name: Attribute(EMPTY, texts[self.places[name]], None) for name in self.labels}

    def attributes(self, found: Sequence[Attribute]) -> dict[str, Attribute]:
        """All attributes that columns are made of, by name."""
        return {name: found[place] for name, place in self.places.items()}


def body(candidates: tuple[tuple[int, bool], ...], texts: Sequence[bytes]) -> int:
    """The place of the first that is filled, or of the last one even when it is empty; -1 for none."""
    for place, counts_empty in candidates:
        if counts_empty or texts[place] != EMPTY:
            return place
    return -1
