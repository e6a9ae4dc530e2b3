"""A context read once: its clauses, vocabulary and facts, ready to be compared with many outputs by grounding."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from functools import lru_cache

import msgspec

from .facts import Fact, facts
from .passages import content_stems
from .support import read_support
from .tokens import sentences, stem, unicode_tokens

_MARKUP = re.compile(r"[*_`#]+|(?:^|(?<=[.!?:;]\s))\d{1,2}[.)]\s+(?=[A-Z])", re.MULTILINE)
NAME = re.compile(r"\b(?:[A-Z]{2,}[A-Za-z0-9]*|[A-Z][a-z]+[A-Z]\w*|[A-Z][\w-]*[a-z\d])")
_CLAUSE_END = re.compile(r";|,?\s+\b(?:but|whereas|however|although|though)\b,?", re.IGNORECASE)


class Clause(msgspec.Struct, frozen=True):
    """One clause of the context, read once."""

    text: str
    stems: frozenset[str]
    facts: tuple[Fact, ...]


class Context:
    """The context's clauses and vocabulary, ready to be compared with many outputs."""

    def __init__(self, text: str) -> None:
        self.clauses = [
            Clause(one, frozenset(content_stems(one)), facts(one, bare_words=True)) for one in clauses(text)
        ]
        self.support = read_support(_MARKUP.sub("", text))
        self.words = frozenset(unicode_tokens(text))
        self.stems = frozenset(content_stems(text))
        self.facts = tuple(fact for clause in self.clauses for fact in clause.facts)
        self._prefixes = frozenset(one[:5] for one in self.stems if len(one) > 5)
        self._initials = "".join(word[0] for word in unicode_tokens(text))
        self._runs = frozenset(_runs(text, 2) + _runs(text, 3))
        counts = Counter(one for clause in self.clauses for one in clause.stems)
        self._rarity = {one: math.log(1 + len(self.clauses) / n) for one, n in counts.items()}
        self._unseen = math.log(1 + len(self.clauses))
        self._clauses_with: dict[str, list[int]] = defaultdict(list)
        for number, clause in enumerate(self.clauses):
            for one in clause.stems:
                self._clauses_with[one].append(number)

    def knows(self, one: str) -> bool:
        """Whether the stem, or another form of the same word, stands in the context."""
        return one in self.stems or one in self.words or (len(one) > 5 and one[:5] in self._prefixes)

    def abbreviates(self, letters: str) -> bool:
        """Whether consecutive words of the context have these initials: SSO and "single sign-on"."""
        return len(letters) > 1 and letters in self._initials

    def coverage(self, stems: tuple[str, ...]) -> float:
        """Share of the stems that stand in the context."""
        return sum(map(self.knows, stems)) / len(stems) if stems else 1.0

    def runs(self, clause: str, length: int) -> float:
        """Share of the clause's runs of `length` words that stand in the context in the same order."""
        wanted = _runs(clause, length)
        return sum(run in self._runs for run in wanted) / len(wanted) if wanted else 1.0

    def overlaps(self, stems: tuple[str, ...]) -> list[float]:
        """For each clause of the context, the share of these stems, weighted by rarity, that it holds."""
        held = [0.0] * len(self.clauses)
        total = 0.0
        for one in dict.fromkeys(stems):
            weight = self._rarity.get(one, self._unseen)
            total += weight
            for number in self._clauses_with.get(one, ()):
                held[number] += weight
        return [each / total for each in held] if total else held


def _runs(text: str, length: int) -> list[tuple[str, ...]]:
    words = [stem(word) for word in unicode_tokens(text)]
    return [tuple(words[start : start + length]) for start in range(len(words) - length + 1)]


read_context = lru_cache(maxsize=512)(Context)


def clauses(text: str) -> list[str]:
    """The sentences of a text, divided where a contrast begins."""
    text = _MARKUP.sub("", text)
    return [part.strip() for one in sentences(text) for part in _CLAUSE_END.split(one) if part.strip()]
