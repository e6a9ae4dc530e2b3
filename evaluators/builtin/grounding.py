"""Deterministic grounding: does what the output states stand in the context? Usable in CI without a model.

Finds numbers, dates and prices, names, listed features, turned negations and sentences that the context does not
cover. It reads words, not meaning: an LLM judge (`Hallucination`) sees more and costs more. Measured accuracy stands
in docs/evaluators.md.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ..contract import Direction, Score, Unscored, fingerprint
from ..text.context import NAME, Context, clauses, read_context
from ..text.facts import Fact, facts
from ..text.passages import content_stems, passage_text, source_of_evidence
from ..text.tokens import stem, unicode_tokens

_NOT_CHECKABLE = re.compile(
    r"\?\s*$|:\s*$|\b(?:let (?:me|us) know|feel free|happy to|glad to|hope (?:this|that)|thank(?:s| you)|sorry|"
    r"apologi[sz]e|please (?:contact|reach|let|ask|see|visit|feel)|reach out|anything else|here to help|"
    r"(?:great|good) question)\b|^\s*(?:hi|hello|hey|dear|yes|no|sure|of course|certainly|best|regards|sincerely|cheers)"
    r"\b[^.]{0,25}$",
    re.IGNORECASE,
)
_PART_END = re.compile(r",\s|:\s|\s\b(?:and|while)\b\s")
_LISTING = re.compile(
    r"\b(?:includ(?:es?|ed|ing)|supports|supporting|offers?|offering|provides?|providing|features|featuring|"
    r"c[oa]mes? with|coming with|integrates? with|integrations? with|access to|equipped with|bundled with)\b(?P<items>.+)",
    re.IGNORECASE,
)
_ITEM_END = re.compile(
    r",|\band\b|\bor\b|\bas well as\b|\bplus\b|\balong with\b|\bfor (?:all|every|your)\b|\b(?:so )?that\b"
)
_SAME_FIGURE = 0.45  # the same, where the passage states another figure of the same kind
_NEAR_BEST = 0.85  # passages this close to the best one count as speaking of the same thing too


class Finding(msgspec.Struct, frozen=True):
    """One thing in the output that the context does not support."""

    kind: str
    """"number", "time", "name", "feature", "negation", "scope" or "coverage"."""
    text: str
    evidence: str | None
    """The passage of the context that speaks of it otherwise, if any."""


class Grounding:
    """How much of the output's checkable clauses stands in the context, in [0, 1]; one finding fails it.

    Each clause counts 0.5 to 1 when nothing in it is unsupported and 0 to 0.5 otherwise, by the share of its words
    and of its runs of two and three words that the context holds (their mean is `details["overlap"]`).
    `coverage` is the share of a clause's content words that the context must hold. Without a context, or when nothing
    in the output is checkable, the result is Unscored.
    """

    kind = "hallucination"
    direction: Direction = "higher"
    threshold: float | None = None
    source = "code"
    inline = True

    def __init__(self, name: str = "grounding", *, coverage: float = 0.4) -> None:
        self.name = name
        self.coverage = coverage
        self.version = fingerprint("grounding-3", str(coverage))

    async def evaluate(
        self,
        *,
        output: Any = None,
        context: Any = None,
        input: Any = None,  # noqa: A002
        **_: Any,
    ) -> Score | Unscored:
        """The score of an output against its context; names may also come from the input."""
        return self(output, context, input=input)

    def __call__(self, output: Any, context: Any = None, *, input: Any = None, **_: Any) -> Score | Unscored:  # noqa: A002
        """As `evaluate`, without a loop."""
        passages = passage_text(context)
        if not passages.strip():
            return Unscored("no context to check the output against")
        known = read_context(passages)
        asked = frozenset(unicode_tokens(passage_text(input)))
        checked = [
            self._check(clause, known, asked) for clause in clauses(passage_text(output)) if is_checkable(clause)
        ]
        if not checked:
            return Unscored("nothing in the output is checkable against the context")
        findings = [finding for _, found in checked for finding in found]
        overlap = sum(share for share, _ in checked) / len(checked)
        value = sum(share / 2 if found else 0.5 + share / 2 for share, found in checked) / len(checked)
        said = "; ".join(f"{one.kind} {one.text!r}" for one in findings)
        return Score(
            value,
            label="ungrounded" if findings else "grounded",
            passed=not findings,
            explanation=f"not supported by the context: {said}" if findings else "the context covers every clause",
            details={
                "findings": [
                    {**msgspec.to_builtins(one), "source": source_of_evidence(context, one.evidence)}
                    for one in findings
                ],
                "clauses": len(checked),
                "overlap": overlap,
            },
        )

    def _check(self, clause: str, known: Context, asked: frozenset[str]) -> tuple[float, list[Finding]]:
        stems = content_stems(clause)
        overlaps = known.overlaps(stems)
        findings = [
            *_number_findings(clause, known, overlaps),
            *_name_findings(clause, known, asked),
            *_feature_findings(clause, known),
        ]
        told = {(one.kind, one.text) for one in findings}
        findings += [Finding(*one) for one in known.support.against(clause) if (one.kind, one.text) not in told]
        findings += _day_findings(clause, known, overlaps)
        covered = known.coverage(stems)
        if not findings and len(stems) >= 3 and covered < self.coverage:
            findings.append(Finding("coverage", clause, None))
        # Words alone say little about extractive text, where errors are splices: runs of two and three count as well.
        return (covered + known.runs(clause, 2) + known.runs(clause, 3)) / 3, findings


def is_checkable(clause: str) -> bool:
    """Whether the clause states something: not a question, an offer of help or a greeting."""
    if _NOT_CHECKABLE.search(clause):
        return bool(facts(clause)) and not clause.rstrip().endswith("?")
    return len(content_stems(clause)) >= 2 or bool(facts(clause))


def _number_findings(clause: str, known: Context, overlaps: list[float]) -> list[Finding]:
    findings = []
    best = max(overlaps, default=0.0)
    for fact in facts(clause, bare_words=True):
        where = [n for n, one in enumerate(known.clauses) if any(fact.agrees(other) for other in one.facts)]
        rivals = [
            n
            for n, one in enumerate(known.clauses)
            if overlaps[n] >= _NEAR_BEST * best > 0
            and any(fact.kind == other.kind and fact.comparable(other) for other in one.facts)
        ]
        stated_near = any(overlaps[n] >= _NEAR_BEST * best for n in where)
        belongs_elsewhere = best >= _SAME_FIGURE and rivals and not stated_near and fact.kind != "count"
        swapped = any(_says_of_another(clause, fact, known.clauses[n].text) for n in where)
        if not fact.text[:1].isdigit() and fact.kind == "count" and not rivals:
            continue  # "one of them" is no quantity that a source has to state
        if not where or belongs_elsewhere or swapped:
            findings.append(Finding("number", fact.text, known.clauses[rivals[0]].text if rivals else None))
    return findings


_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY = re.compile(
    rf"\b(?:(?P<first>{'|'.join(_DAYS)})s?(?:\s*(?:to|through|-|–)\s*(?P<last>{'|'.join(_DAYS)})s?)?|(?P<group>weekdays?|working days|weekends?|daily|every day|24/7|around the clock))\b",
    re.IGNORECASE,
)


def _days(text: str) -> set[str]:
    """The days of the week that a text names; "around the clock" is more than any of them."""
    found: set[str] = set()
    for match in _DAY.finditer(text):
        group = (match["group"] or "").lower()
        if group.startswith(("24", "around")):
            found |= {*_DAYS, "night"}
        elif group:
            found |= set(_DAYS[5:] if group.startswith("weekend") else _DAYS[:5] if group.startswith("w") else _DAYS)
        else:
            first = _DAYS.index(match["first"].lower())
            last = _DAYS.index((match["last"] or match["first"]).lower())
            found |= {_DAYS[n % 7] for n in range(first, (last if last >= first else last + 7) + 1)}
    return found


def _day_findings(clause: str, known: Context, overlaps: list[float]) -> list[Finding]:
    """Days that the passages on the same subject do not name."""
    said = _days(clause)
    best = max(overlaps, default=0.0)
    if not said or best < _SAME_FIGURE:
        return []
    near = [one.text for one, overlap in zip(known.clauses, overlaps, strict=True) if overlap >= _NEAR_BEST * best]
    stated = set().union(*map(_days, near))
    return [Finding("time", clause, near[0])] if stated and not said <= stated else []


def _says_of_another(clause: str, fact: Fact, passage: str) -> bool:
    """Whether a list like "Basic at $19, Pro at $49" gives the fact to another name, and this name another fact."""
    parts = [(set(NAME.findall(part)), facts(part)) for part in _PART_END.split(passage)]
    named = set(NAME.findall(clause))
    owners = [names for names, stated in parts if any(fact.agrees(one) for one in stated)]
    rivals = [
        names
        for names, stated in parts
        if any(one.kind == fact.kind != "count" and not fact.agrees(one) for one in stated)
    ]
    mine = any(named & names for names in rivals)
    return bool(owners) and all(owners) and mine and not any(named & names for names in owners)


def _name_findings(clause: str, known: Context, asked: frozenset[str]) -> list[Finding]:
    findings = []
    for match in NAME.finditer(clause):
        name = match.group()
        starts = not clause[: match.start()].strip(" \"'“(")
        if starts and not (name.isupper() or any(letter.isupper() for letter in name[1:])):
            continue  # every sentence begins with a capital
        parts = unicode_tokens(name)
        plain = all(part in known.words or part in asked or known.knows(stem(part)) for part in parts)
        if not plain and not known.abbreviates(name.lower()):
            findings.append(Finding("name", name, None))
    return findings


def _feature_findings(clause: str, known: Context) -> list[Finding]:
    listing = _LISTING.search(clause)
    if listing is None:
        return []
    findings = []
    for item in _ITEM_END.split(listing["items"]):
        stems = content_stems(item)
        initials = "".join(word[0] for word in unicode_tokens(item))
        if stems and known.coverage(stems) < 0.5 and initials not in known.words:
            findings.append(Finding("feature", item.strip(" ."), None))
    return findings


def contradicts(statement: str, passage: str) -> bool:
    """Whether a clause of the statement is denied, or denies, what the passage says of the same subject."""
    known = read_context(passage)
    return any(one.kind == "negation" for clause in clauses(statement) for one in known.support.against(clause))
