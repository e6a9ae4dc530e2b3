"""What a context denies or reserves: things it has not, subjects it excludes, items that only some get; read once.

Grounding asks here whether a clause states what the context denies. The rules read English word order: they look at
lists item by item, because one denied item among true ones is how an invented feature comes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .passages import content_stems, is_negated

_NO = re.compile(
    r"\b(?:no|without(?: an?| any)?)\s+(?P<thing>[\w'’-]+(?:\s[\w'’-]+){0,3}?)(?=[,;.:)]|$|\s+(?:and|or|but|nor|for|in|on|at|to|of|with|is|are|it)\b)",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"\b(?:if|when|unless|until|as long as|provided)\b", re.IGNORECASE)
_VERB = re.compile(
    r"\b(?:is|are|was|were|can|cannot|can't|could|may|must|will|do|does|don't|doesn't|has|have|costs?|works?|isn't|aren't)\b",
    re.IGNORECASE,
)
_ITEM_END = re.compile(r",|\band\b|\bor\b|\bnor\b|\bas well as\b", re.IGNORECASE)
_NOT_TAIL = re.compile(r",\s*(?:but )?not\s+(?P<tail>[^,;.]+)", re.IGNORECASE)
_EXCEPT = re.compile(r",?\s+(?:except(?: for)?|but not|excluding|apart from)\s+(?P<tail>[^;.]+)", re.IGNORECASE)
_ONLY = re.compile(r"(?<!not )\b(?:only|exclusively|solely|limited to|reserved for|restricted to)\b", re.IGNORECASE)
_ALL = re.compile(r"\b(?:all|every|any|everyone|everybody|always|each|anyone)\b", re.IGNORECASE)
_OTHERS = re.compile(
    r"^\s*(?:all (?:the )?others?|everyone else|everybody else|other \w+|the others?)\b", re.IGNORECASE
)
# What only says that something is there: "is not available" denies the subject itself.
_GENERIC = frozenset(
    "avail possibl offer support allow includ provid accept work exist part permit sold given open get got need requir".split()
)


class Denial(NamedTuple):
    """A set of stems that a clause may not hold without a negation, and the passage that says so."""

    stems: frozenset[str]
    passage: str


class Reservation(NamedTuple):
    """Items that only those who are named get."""

    items: tuple[frozenset[str], ...]
    names: frozenset[str]
    passage: str


class Denials:
    """The denials and reservations of a context's clauses."""

    def __init__(self, clauses: list[str], names: re.Pattern[str]) -> None:
        self._names = names
        stated = [frozenset(content_stems(one)) for one in clauses if not is_negated(one)]
        found = [denial for one in clauses for denial in _denials(one)]
        # What another clause affirms is denied of something else only.
        self.denied = [one for one in found if not any(one.stems <= stems for stems in stated)]
        reserved = [
            clause
            for number, clause in enumerate(clauses)
            if _ONLY.search(clause) or (number + 1 < len(clauses) and _OTHERS.match(clauses[number + 1]))
        ]
        self.reserved = [one for clause in reserved if (one := self._reservation(clause)) is not None]
        self.limited = [(frozenset(_subject(clause)), clause) for clause in reserved if not self._named(clause)]

    def against(self, clause: str) -> tuple[str, str] | None:
        """The kind of finding ("negation" or "scope") and the passage that the clause contradicts, None where none does."""
        if is_negated(clause):
            return None
        stems = frozenset(content_stems(clause))
        for denial in self.denied:
            if denial.stems <= stems:
                return "negation", denial.passage
        named = self._named(clause)
        for one in self.reserved:
            others = named - one.names
            if others and not named & one.names and any(item <= stems for item in one.items):
                return "scope", one.passage
        if _ALL.search(clause):
            for subject, passage in self.limited:
                if subject and subject <= stems and not _ONLY.search(clause):
                    return "scope", passage
        return None

    def _reservation(self, clause: str) -> Reservation | None:
        names = self._named(clause)
        only = _ONLY.search(clause)
        items = [frozenset(content_stems(item)) for item in _ITEM_END.split(_before_verb(clause))]
        after = frozenset(self._names.findall(clause[only.start() :])) if only else names
        kept = tuple(item - _GENERIC for item in items if item - _GENERIC and not self._is_name(item, names))
        return Reservation(kept, after or names, clause) if names and kept else None

    def _is_name(self, item: frozenset[str], names: frozenset[str]) -> bool:
        return any(item <= frozenset(content_stems(name)) for name in names)

    def _named(self, text: str) -> frozenset[str]:
        """Names within the clause; a capital at its beginning may be any word, unless the rest has it too."""
        found = list(self._names.finditer(text))
        return frozenset(match.group() for match in found if match.start() > 0 or _is_plan_like(match.group(), text))


def _is_plan_like(name: str, text: str) -> bool:
    # "Pro includes ..." begins with a name, "Dogs are ..." with a noun in the plural.
    following = text[len(name) :].split()
    return (
        bool(following)
        and not name.endswith("s")
        and following[0].lower() in ("includes", "comes", "offers", "has", "costs", "customers", "plan", "users")
    )


def _denials(clause: str) -> list[Denial]:
    things = [match["thing"] for match in _NO.finditer(clause) if not _CONDITION.search(clause[match.end() :])]
    found = [frozenset(content_stems(thing)) for thing in things]
    tail = _NOT_TAIL.search(clause) or _EXCEPT.search(clause)
    if tail is not None:
        common = frozenset(_subject(clause)) | _predicate(clause)
        found += [
            frozenset(content_stems(item)) | common for item in _ITEM_END.split(tail["tail"]) if content_stems(item)
        ]
    elif is_negated(clause) and not things and not _CONDITION.search(clause) and _VERB.search(clause):
        rest = frozenset(content_stems(clause[len(_before_verb(clause)) :]))
        items = [frozenset(content_stems(item)) for item in _ITEM_END.split(_before_verb(clause))]
        found += [(item | rest) - _GENERIC for item in items if item]
    return [Denial(stems, clause) for stems in found if stems]


def _before_verb(clause: str) -> str:
    verb = _VERB.search(clause)
    return clause[: verb.start()] if verb else ""


def _subject(clause: str) -> tuple[str, ...]:
    return content_stems(_before_verb(clause))


def _predicate(clause: str) -> frozenset[str]:
    """The word after a plain "is" or "are", as in "are free at ...": without it the same subject may be meant otherwise."""
    match = re.search(r"\b(?:is|are)\s+(?P<word>\w+)\s+(?:at|in|for|on|from)\b", clause, re.IGNORECASE)
    return frozenset(content_stems(match["word"])) - _GENERIC if match else frozenset()
