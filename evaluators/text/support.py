"""What a context says of a statement: supports it, denies it, reserves it for others, or says it of something else."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from functools import lru_cache
from typing import NamedTuple

from .facts import Fact, facts
from .propositions import (
    ALL,
    CONDITION,
    COUNTS,
    ONLY,
    PREDICATES,
    Proposition,
    has_verb,
    items,
    listed,
    objects,
    propositions,
    word_keys,
)
from .tokens import sentences

_SAME_THING = 0.5  # share of a statement's words (by rarity) that a proposition must hold to speak of the same thing
_SURELY_SAME = 0.6
_TOLD = 0.1  # share of sentences in the past tense from which on a text tells events
_NEAR_BEST = 0.9
_WEAK = 0.25  # what a word counts that only says that something is there
# Words that paraphrases bring in: that they stand elsewhere in the context says nothing.
_LOOSE_VERBS = """
    stay come bring carry take keep send receive start begin end happen book order buy purchase visit open close check contact
    reach call write ask answer respond handle request choose select add remove change update manage view see show find look
    read want like wish enjoy expect remain last run move leave enter join apply become set serve save store made register
    cancel travel return display deliver let means mean say said says tell told
"""
_LOOSE_NOUNS = """
    account plan customer user member team person people company service product day time feature number part way
    fare month year week hour note period full total place visitor guest ticket membership patient
    further additional standard regular current
"""
_EMPTY_NOUNS = "version option kind type edition feature possibility"
_LOOSE_IN_DENIALS = word_keys("charging") | word_keys(_LOOSE_VERBS) | word_keys(_EMPTY_NOUNS)
_LOOSE = (_LOOSE_IN_DENIALS - word_keys("charging")) | word_keys(_LOOSE_NOUNS)
_WITHOUT = re.compile(r"\bwithout\b", re.IGNORECASE)
_ONLY_WITH = re.compile(r"\bonly (?:together )?with\b|\baccompanied by\b", re.IGNORECASE)
_BARE_FREE = re.compile(r"\b(?:free(?! of charge until)|included|at no)\b", re.IGNORECASE)
_LIGHT = 0.5  # what such a loose word counts
_PAST = re.compile(
    r"\b(?:was|were|had|said|told|did|went|came|took|won|died|began|became|ha[sv]e? been)\b", re.IGNORECASE
)
_INNER_NAME = re.compile(r"(?<=[a-z,] )[A-Z][\w-]*")
_EVERYTHING = re.compile(r"\b(?:everything|all|all (?:the )?features) (?:in|of|from) (?P<name>[A-Z][\w-]*)")
_YOURS = re.compile(r"\b(?:your|our|my)\s+(\w+)", re.IGNORECASE)
_COUNTED = re.compile(rf"\b(?P<n>\d+|{'|'.join(sorted(COUNTS))})\s+(?:\w+\s)?(?P<noun>[a-z]{{3,}}s)\b", re.IGNORECASE)
_OWN_TASK = re.compile(r"\b(?:your own|yourself|need to|must|have to|please)\b", re.IGNORECASE)


class Against(NamedTuple):
    """One statement that does not stand: the kind of finding, its words, and the passage that says otherwise."""

    kind: str
    text: str
    evidence: str | None


class Unit(NamedTuple):
    """All that one sentence affirms of one subject."""

    keys: frozenset[str]
    facts: tuple[Fact, ...]
    own: str
    text: str
    limits: bool
    """Whether the same sentence denies the same of others."""


class Support:
    """A context's propositions, ready to be compared with many statements."""

    def __init__(self, text: str) -> None:
        found = propositions(text)
        told = [_PAST.search(one) is not None for one in sentences(text)]
        self.narrative = sum(told) > 1 and sum(told) >= _TOLD * len(told)
        """Whether the text tells events: a summary joins what several of its sentences say, so words of another sentence
        show nothing there."""
        self.denied = [one for one in found if one.negated]
        self.units = _inheriting(_units(found))
        self._names = frozenset().union(*(word_keys(name) for name in _INNER_NAME.findall(text)))
        self.known = frozenset().union(*(one.keys for one in found)) if found else frozenset()
        counts = Counter(key for one in found for key in one.keys)
        self._weights = {key: _counting(key) * math.log(1 + len(found) / n) for key, n in counts.items()}
        self._unseen = math.log(1 + max(len(found), 1))
        self._units_with: dict[str, list[int]] = defaultdict(list)
        for number, unit in enumerate(self.units):
            for key in unit.keys:
                self._units_with[key].append(number)

    def against(self, clause: str) -> list[Against]:
        """What the context holds against a clause."""
        found: list[Against] = []
        for one in propositions(clause):
            found += self._denying(one, clause) if one.negated else self._affirming(one, clause)
        return found

    def _weight_of(self, key: str) -> float:
        known = self._weights.get(key)
        return self._unseen * _counting(key) if known is None else known

    def _weight(self, keys: frozenset[str]) -> float:
        return sum(map(self._weight_of, keys))

    def _share(self, statement: frozenset[str], other: frozenset[str]) -> float:
        return self._weight(statement & other) / (self._weight(statement) or 1.0)

    def _near(self, keys: frozenset[str]) -> tuple[float, list[Unit]]:
        """The largest share of a statement that a unit holds, and the units that hold about as much."""
        held: dict[int, float] = {}
        total = 0.0
        for key in keys:
            weight = self._weight_of(key)
            total += weight
            for number in self._units_with.get(key, ()):
                held[number] = held.get(number, 0.0) + weight
        best = max(held.values(), default=0.0)
        near = [self.units[number] for number in sorted(held) if held[number] >= _NEAR_BEST * best > 0]
        return best / (total or 1.0), near

    def _denying(self, one: Proposition, clause: str) -> list[Against]:
        """A denial stands where the context denies the same, or affirms it with a limit."""
        best, near = self._near(one.keys)
        if best >= _SAME_THING and _WITHOUT.search(one.own) and any(_ONLY_WITH.search(unit.own) for unit in near):
            return [Against("negation", clause, near[0].text)]
        if best < _SURELY_SAME or any(
            unit.limits or ONLY.search(unit.own) or CONDITION.search(unit.own) for unit in near
        ):
            return []
        if any(self._share(one.keys, other.keys) >= _NEAR_BEST * best for other in self.denied):
            return []
        return [Against("negation", clause, near[0].text)]

    def _affirming(self, one: Proposition, clause: str) -> list[Against]:
        denial = None if _OWN_TASK.search(one.own) else self._denied_by(one)
        if denial is not None:
            return [Against("negation", clause, denial.text)]
        found: list[Against] = []
        if self.narrative:
            return found
        best, near = self._near(one.keys)
        if best >= _SAME_THING:
            found += _quantified(one, near, clause) + _stated(one, near) + _priced(one, near, clause)
        if not (_OWN_TASK.search(one.own) and not one.subject):
            parts = listed(one.own)
            for part in parts:
                found += self._of_another(one.subject | word_keys(part), part)
            found += self._not_listed(one, near) if best >= _SAME_THING and len(parts) > 1 else []
        return found

    def _not_listed(self, one: Proposition, near: list[Unit]) -> list[Against]:
        """Items of a list that the passages do not have, beside items that they have."""
        same = [unit for unit in self.units if one.subject and one.subject <= unit.keys] + near
        stated = frozenset().union(*(unit.keys for unit in same)) if same else frozenset()
        listing = [(item, word_keys(item) - PREDICATES - _LOOSE - one.subject) for item in objects(one.own)]
        listing = [(item, keys) for item, keys in listing if keys and not has_verb(item)]
        if not any(keys <= stated for _, keys in listing):
            return []
        return [Against("feature", item.strip(" ."), near[0].text) for item, keys in listing if not keys & stated]

    def _denied_by(self, one: Proposition) -> Proposition | None:
        for denial in self.denied:
            core = denial.keys - PREDICATES
            core = core - _LOOSE_IN_DENIALS or core
            if (
                len(core) > self.narrative
                and core <= one.keys
                and not any(self._says_all(unit, one, denial) for unit in self.units)
            ):
                return denial
        return None

    def _says_all(self, unit: Unit, one: Proposition, denial: Proposition) -> bool:
        wanted = one.keys - PREDICATES
        return wanted <= unit.keys and not (unit.text == denial.text and wanted <= denial.keys)

    def _of_another(self, keys: frozenset[str], item: str) -> list[Against]:
        """What no unit says of this subject, although the context has the words for it."""
        best, near = self._near(keys)
        if best < _SAME_THING:
            return []
        loose = (_LOOSE | word_keys(" ".join(_YOURS.findall(item)))) - self._names
        residues = [(keys - unit.keys - PREDICATES - loose, unit) for unit in near]
        residue, unit = min(residues, key=lambda pair: self._weight(pair[0] & self.known))
        if residue & self.known:
            return [Against("scope", item.strip(), unit.text)]
        return []


def _counting(key: str) -> float:
    """What a word counts beside its rarity."""
    return _WEAK if key in PREDICATES else _LIGHT if key in _LOOSE else 1.0


def _units(found: list[Proposition]) -> list[Unit]:
    grouped: dict[tuple[str, frozenset[str]], list[Proposition]] = defaultdict(list)
    for one in found:
        if not one.negated:
            grouped[one.text, one.subject].append(one)
    limited = {one.text for one in found if one.negated}
    return [
        Unit(
            frozenset().union(*(one.keys for one in group)),
            tuple(fact for one in group for fact in one.facts),
            ", ".join(one.own for one in group),
            text,
            text in limited,
        )
        for (text, _), group in grouped.items()
    ]


def _inheriting(units: list[Unit]) -> list[Unit]:
    """The units, where a thing that has "everything in Basic" has what is said of Basic."""
    found = []
    for unit in units:
        match = _EVERYTHING.search(unit.own)
        if match is not None:
            name = word_keys(match["name"])
            bases = [other for other in units if name and name <= word_keys(other.own[: len(match["name"]) + 4])]
            keys = (unit.keys - name).union(*(base.keys - name for base in bases))
            found.append(unit._replace(keys=keys))
        else:
            found.append(unit)
    return found


def _quantified(one: Proposition, near: list[Unit], clause: str) -> list[Against]:
    """Says all where the context limits it, or only some where it says all."""
    for unit in near:
        bounded = unit.limits or ONLY.search(unit.own) or CONDITION.search(unit.own)
        if ALL.search(one.own) and not (ONLY.search(one.own) or CONDITION.search(one.own)):
            if (ALL.search(unit.own) and not ONLY.search(unit.own)) or not bounded:
                return []
        elif not (ONLY.search(one.own) and ALL.search(unit.own) and not ONLY.search(unit.own)):
            return []
    return [Against("scope", clause, near[0].text)] if near else []


def _stated(one: Proposition, near: list[Unit]) -> list[Against]:
    """Figures that none of the passages on the same thing gives, where they give others, or gives to something else."""
    found = []
    for fact in one.facts:
        rivals = [unit for unit in near if any(_rival(fact, other) for other in unit.facts)]
        stated = [unit for unit in near if any(fact.agrees(other) for other in unit.facts)]
        if (rivals and not stated) or (stated and all(_given_to_another(one, fact, unit) for unit in stated)):
            found.append(Against("number", fact.text, (rivals or stated)[0].text))
    for match in _COUNTED.finditer(one.own):
        if any(fact.kind != "count" for fact in facts(match.group(), bare_words=True)):
            continue
        single = re.compile(rf"\b(?:an?|one)\s+(?:\w+\s)?{re.escape(match['noun'][:-1].lower())}\b", re.IGNORECASE)
        if match["n"].lower() not in ("1", "one") and near and all(single.search(unit.own) for unit in near):
            found.append(Against("number", match.group(), near[0].text))
    return found


def _rival(fact: Fact, other: Fact) -> bool:
    return fact.kind == other.kind and fact.comparable(other)


def _given_to_another(one: Proposition, fact: Fact, unit: Unit) -> bool:
    """Whether "35 euros online and 55 euros at the counter" gives the figure to another part than the statement does."""
    parts = [(word_keys(part), facts(part)) for part in items(unit.own)]
    mine = [keys for keys, stated in parts if any(fact.agrees(other) for other in stated)]
    others = [keys for keys, stated in parts if any(_rival(fact, other) and not fact.agrees(other) for other in stated)]
    if not mine or not others:
        return False
    theirs, own = frozenset().union(*others), frozenset().union(*mine)
    return bool(one.keys & (theirs - own) - _LOOSE) and not one.keys & (own - theirs) - _LOOSE - (one.subject - theirs)


def _priced(one: Proposition, near: list[Unit], clause: str) -> list[Against]:
    """Free or included, where the passages on the same thing give a price."""
    if not _BARE_FREE.search(one.own) or any(fact.kind == "money" for fact in one.facts):
        return []
    priced = [unit for unit in near if any(fact.kind in ("money", "percent") for fact in unit.facts)]
    if not priced or len(priced) < len(near) or any(_BARE_FREE.search(unit.own) for unit in priced):
        return []
    return [Against("number", clause, priced[0].text)]


read_support = lru_cache(maxsize=512)(Support)
