"""What the demo's assistant knows: the help centre of a fictional product, searched by BM25."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec

_T = TypeVar("_T")

_DATA = Path(__file__).parent / "data"
_WORD = re.compile(r"[a-z0-9]+")
# Words that every question has say nothing about which passage answers it.
_STOP = frozenset(
    "a an and are at be by can do does for from get how i if in is it lanternboard long many me much my of on or plan "
    "should the then there to use what when where which who why will with you your".split()
)
_K1, _B = 1.2, 0.75  # Robertson's usual saturation and length normalisation


class Passage(msgspec.Struct, frozen=True):
    """One passage of the help centre."""

    id: str
    topic: str
    text: str


class Question(msgspec.Struct, frozen=True):
    """A customer's question with the answer that the support team agreed on."""

    question: str
    answer: str


@cache
def passages() -> tuple[Passage, ...]:
    """The help centre."""
    return _read("knowledge.jsonl", Passage)


@cache
def questions() -> tuple[Question, ...]:
    """What customers ask, with the agreed answers."""
    return _read("questions.jsonl", Question)


@cache
def known_answer(question: str) -> str | None:
    """The agreed answer to a question, None if nobody wrote one down."""
    return next((known.answer for known in questions() if known.question == question.strip()), None)


def search(query: str, top_k: int = 2) -> list[tuple[Passage, float]]:
    """The passages that match best, with their BM25 scores, best first."""
    terms = set(_terms(query))
    scored = [(passage, _bm25(terms, counts)) for passage, counts in _index()]
    return sorted((hit for hit in scored if hit[1] > 0), key=lambda hit: -hit[1])[:top_k]


def _read(name: str, shape: type[_T]) -> tuple[_T, ...]:
    decoder = msgspec.json.Decoder(shape)
    return tuple(decoder.decode(line) for line in (_DATA / name).read_bytes().splitlines() if line)


def _terms(text: str) -> list[str]:
    # Cutting the plural is all the stemming that this small corpus needs.
    return [word.removesuffix("s") for word in _WORD.findall(text.lower()) if word not in _STOP]


@cache
def _index() -> tuple[tuple[Passage, Counter[str]], ...]:
    return tuple((passage, Counter(_terms(f"{passage.topic} {passage.text}"))) for passage in passages())


@cache
def _document_frequency() -> Counter[str]:
    return Counter(term for _, counts in _index() for term in counts)


def _bm25(terms: set[str], counts: Counter[str]) -> float:
    total = len(_index())
    mean_length = sum(c.total() for _, c in _index()) / total
    frequency = _document_frequency()
    return sum(
        math.log(1 + (total - frequency[term] + 0.5) / (frequency[term] + 0.5))
        * counts[term]
        * (_K1 + 1)
        / (counts[term] + _K1 * (1 - _B + _B * counts.total() / mean_length))
        for term in terms
        if counts[term]
    )
