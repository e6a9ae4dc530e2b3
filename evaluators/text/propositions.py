"""Splits English sentences into propositions: who or what, what is said of it, affirmed or denied, and for whom only.

Grounding compares propositions, not sentences: "Results come after three days and are never sent by e-mail" affirms one
thing and denies another, and an item in a list is a statement of its own.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from .facts import ENGLISH_NUMBERS, Fact, facts
from .passages import content_stems, is_negated
from .tokens import sentences

_VERBS = """
    is are was were be been can cannot could may might must shall should will would do does did has have had isn't aren't
    wasn't weren't can't won't don't doesn't couldn't shouldn't hasn't haven't needn't cost costs include includes contain
    contains offer offers provide provides supports require requires need needs get gets take takes come comes
    go goes start starts begin begins end ends last lasts open opens close closes run runs work works pay pays receive
    receives accept accepts allow allows give gives keep keeps expire expires renew renews carry carries charges
    stay stays save saves apply applies covers add adds bring brings answers send sends uses serve serves
    grants limits travel travels lets let visits live lives insure insures exist exists create creates
    return returns saw said says told won made became joined left found
""".split()  # fmt: skip
_VERB = re.compile(
    rf"(?<![\w'’-])(?:{'|'.join(map(re.escape, sorted(_VERBS, key=len, reverse=True)))})(?![\w-])", re.IGNORECASE
)
_CONTRAST = re.compile(
    r";|,?\s+\b(?:but|whereas|however|although|though|otherwise)\b(?! not\b),?|\s[–—]\s", re.IGNORECASE
)
_JOINT = re.compile(
    r",\s*(?:and|or|as|because|since|so|then)?\s+|\s+(?:and|or|because|while)\s+|,\s+(?=which|who|where)", re.IGNORECASE
)
_TAIL = re.compile(
    r"(?:,?\s+but\s+not|,\s+not|,?\s+(?:except(?:\s+for|\s+on|\s+in)?|excluding|apart from))\s+(?P<rest>[^,;.]+(?:,\s*(?:and|or)?[^,;.]+)*)",
    re.IGNORECASE,
)
_NO_THING = re.compile(
    r"\b(?:no|without(?:\s+an?|\s+any)?)\s+(?P<thing>[\w'’-]+(?:\s[\w'’-]+){0,3}?)(?=[,;.:)]|$|\s+(?:and|or|but|nor|for|in|on|at|to|of|with|is|are|it)\b)",
    re.IGNORECASE,
)
_NO_IDIOM = re.compile(
    r"\b(?:at no (?:extra |additional )?(?:cost|charge)|no (?:\w+ )?(?:fees?|charges?|costs?)|free of charge|"
    r"without (?:charge|fees?|costs?)|for nothing|complimentary|costs? nothing)\b",
    re.IGNORECASE,
)
_TIME_IDIOM = re.compile(
    r"\b(?:around the clock|24/7|at any time|as well|as soon as possible|at the moment)\b", re.IGNORECASE
)
ONLY = re.compile(
    r"(?<!not )\b(?:only|exclusively|solely|limited to|reserved for|restricted to)\b(?! not)", re.IGNORECASE
)
ALL = re.compile(
    r"\b(?:all|every|any|everyone|everybody|always|each|anyone|regardless|without exception)\b", re.IGNORECASE
)
CONDITION = re.compile(
    r"\b(?:if|unless|except|until|provided|as long as|longer than|shorter than|more than|less than|older than|"
    r"younger than|over|above|below|at least|other than|separately|usually)\b",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"^\s*(?:it|they|this|these|those|he|she|which|who|that)\b", re.IGNORECASE)
_SPEAKER = re.compile(r"^\s*(?:we|you|i)\b", re.IGNORECASE)
_MARKED = re.compile(r"\b\d+[a-z]\b", re.IGNORECASE)
_CANON = {
    word: name
    for name, words in {
        "allow": "allow allowed permit permitted accept accepted admit admitted welcome possible able",
        "refund": "refund refundable reimbursed reimbursement",
        "contain": "part include includes included including contain contains comprise comprises available offer offered offers provide provided "
        "provides feature features come comes support supported supports have has get gets cover covered covers given give gives exist exists "
        "access equipped bundled got obtain sold granted grant grants require required requires need needs work works",
        "price": "cost costs price priced pay pays paid charge charged charges fee fees rate rates payment payable due euros euro dollars dollar pounds",
        "phone": "phone telephone hotline call calls",
        "email": "email e-mail mail e-mails emails",
        "doc": "invoice invoices bill bills",
    }.items()
    for word in words.split()
}
COUNTS = (frozenset(ENGLISH_NUMBERS) - {"zero"}) | {"hundred"}


def word_key(stem: str) -> str:
    """A key that forms of one word share: the first five letters of a longer stem."""
    return stem[:5] if len(stem) > 5 else stem


_NUMBER_KEYS = COUNTS | {word_key(stem) for word in COUNTS for stem in content_stems(word)} | {"half", "quart"}


class Proposition(msgspec.Struct, frozen=True):
    """One thing that a sentence says."""

    text: str
    """The sentence it comes from."""
    subject: frozenset[str]
    """Word keys of who or what it speaks of; may come from earlier in the sentence."""
    keys: frozenset[str]
    """Word keys of all it says, its subject and predicate included."""
    own: str
    """Its own words in the sentence."""
    facts: tuple[Fact, ...]
    negated: bool


@lru_cache(maxsize=8192)
def word_keys(text: str) -> frozenset[str]:
    """The keys of a text's content words; words for one idea ("permitted", "allowed") share theirs."""
    text = _TIME_IDIOM.sub(" ", _NO_IDIOM.sub(" free ", text.lower().replace("e-mail", "email")))
    canonical = re.sub(r"[a-z]+", lambda match: _CANON.get(match.group(), match.group()), text)
    marked = (match.group() for match in _MARKED.finditer(text))  # 5G, 4K
    return frozenset([*(word_key(one) for one in content_stems(canonical)), *marked]) - _NUMBER_KEYS


PREDICATES = word_keys("allow contain price")
"""What only says that something is there, may be done or costs something."""


def propositions(text: str) -> list[Proposition]:
    """The propositions of a text, sentence by sentence."""
    return [one for sentence in sentences(text) for one in _of_sentence(sentence)]


@lru_cache(maxsize=8192)
def _of_sentence(sentence: str) -> tuple[Proposition, ...]:
    found: list[Proposition] = []
    subject: frozenset[str] = frozenset()
    for segment in _CONTRAST.split(sentence):
        if not segment.strip():
            continue
        tails: list[str] = []
        tail = _TAIL.search(segment)
        if tail is not None and not _VERB.search(tail["rest"]):
            tails = items(tail["rest"])
        main = segment[: tail.start()] + segment[tail.end() :] if tails and tail else segment
        for part in _fragments(main):
            subject, new = _propositions_of(part, sentence, subject, found)
            found += new
        if tails and found:
            base = found[-1]
            found += [
                Proposition(
                    sentence, base.subject, base.subject | _predicate(base.own) | word_keys(one), one, facts(one), True
                )
                for one in tails
                if word_keys(one)
            ]
    return tuple(found)


def _fragments(segment: str) -> list[str]:
    """The segment divided where a new verb begins, or a new fact of the kind that was just stated."""
    pieces: list[str] = []
    start = 0
    cuts = [(match.start(), match.end()) for match in _JOINT.finditer(segment)] + [(len(segment), len(segment))]
    for begin, end in cuts:
        pieces.append(segment[start:begin])
        start = end
    joined: list[str] = []
    for piece in pieces:
        if not piece.strip():
            continue
        if (joined and not _VERB.search(piece)) or (joined and not _VERB.search(joined[-1])):
            joined[-1] = f"{joined[-1]}, {piece}"
        else:
            joined.append(piece)
    return joined


def _propositions_of(
    part: str, sentence: str, subject: frozenset[str], found: list[Proposition]
) -> tuple[frozenset[str], list[Proposition]]:
    """The subject that holds on, and the propositions of one fragment."""
    verb = _VERB.search(part)
    before = part[: verb.start()] if verb else ""
    if re.match(r"\s*(?:which|who|where)\b", part, re.IGNORECASE) and found:
        own = frozenset(list(word_keys(" ".join(found[-1].own.split()[-3:]))))
        subject = own or subject
    elif verb and _SPEAKER.match(before):
        subject = frozenset()
    elif verb and word_keys(before) and not _PRONOUN.match(before):
        subject = word_keys(before)
    things = [match["thing"] for match in _NO_THING.finditer(_NO_IDIOM.sub(" ", part))]
    stated = facts(part, bare_words=True)
    if things and not is_negated(_NO_THING.sub(" ", part)):
        rest = _NO_THING.sub(" ", part)
        made = [
            Proposition(sentence, subject, subject | word_keys(one), part, (), True) for one in things if word_keys(one)
        ]
        if len(word_keys(rest)) >= 2:
            made.append(Proposition(sentence, subject, subject | word_keys(rest), rest, stated, False))
        return subject, made
    negated = is_negated(_NO_IDIOM.sub(" ", part))
    if negated:
        denied = items(part[verb.end() :]) if verb else [part]
        subjects = items(before) if verb and word_keys(before) and not _PRONOUN.match(before) else [""]
        common = subject if subjects == [""] else frozenset()
        made = [
            Proposition(
                sentence, common | word_keys(one), common | word_keys(one) | word_keys(other), part, stated, True
            )
            for one in subjects
            for other in denied
            if word_keys(other) or word_keys(one)
        ]
        return subject, made
    return subject, [Proposition(sentence, subject, subject | word_keys(part), part, stated, False)]


def has_verb(text: str) -> bool:
    """Whether a finite verb stands in the text."""
    return _VERB.search(text) is not None


def items(text: str) -> list[str]:
    """The parts of an enumeration."""
    return [
        one for one in re.split(r",|\band\b|\bor\b|\bnor\b|\bas well as\b", text, flags=re.IGNORECASE) if one.strip()
    ]


def _predicate(part: str) -> frozenset[str]:
    """The words of the verb, as in "are free at ...": what is denied of the others."""
    verb = _VERB.search(part)
    if verb is None:
        return frozenset()
    following = re.match(r"\s*(\w+)", part[verb.end() :])
    return word_keys(f"{verb.group()} {following[1] if following else ''}")


def objects(part: str) -> list[str]:
    """What a statement enumerates after its verb."""
    verb = _VERB.search(part)
    return items(part[verb.end() :]) if verb else items(part)


def listed(part: str) -> list[str]:
    """The items of a list in a statement, each with the words before the list: "Pro includes a", "Pro includes b"."""
    verb = _VERB.search(part)
    if verb is None:
        return [part]
    head, rest = part[: verb.end()], part[verb.end() :]
    objects, subjects = items(rest), items(head[: verb.start()])
    if len(objects) > 1:
        return [f"{head} {one}" for one in objects]
    if len(subjects) > 1:
        return [f"{one} {part[verb.start() :]}" for one in subjects]
    return [part]
