"""The usual constraints, each a small configured callable on the output's text; used by `Constraints.add`.

Each returns `(passed, what is wrong)`. Terms are matched by whole words after Unicode folding, so that "Ring" is not
found in "during" and full-width or zero-width spellings do not hide a name.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

import msgspec

from ...errors import UsageError, or_did_you_mean
from ..contract import Unscored
from ..text.facts import prices, unread_amounts
from ..text.languages import LANGUAGES, likely_languages
from ..text.passages import passage_text
from ..text.tokens import is_unspaced, sentences, unicode_tokens

Verdict = tuple[bool, str | None]
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_FENCE = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n?```\s*$", re.DOTALL)


class ValidJSON(msgspec.Struct, frozen=True):
    """The output is one JSON document; `fenced` also accepts one in a Markdown code fence."""

    fenced: bool = False

    def __call__(self, output: str) -> Verdict:
        """Whether it parses; NaN and Infinity are not JSON."""
        try:
            _parse(output, fenced=self.fenced)
        except ValueError as error:
            return False, f"not valid JSON: {error}"
        return True, None


class MatchesSchema:
    """The output is JSON that fits a JSON Schema (draft 2020-12 unless `$schema` says otherwise).

    Raises UsageError when the schema itself is invalid.
    """

    def __init__(self, schema: dict[str, Any], *, fenced: bool = False) -> None:
        from jsonschema import SchemaError
        from jsonschema.validators import validator_for

        validator = validator_for(schema)
        try:
            validator.check_schema(schema)
        except SchemaError as error:
            raise UsageError(f"not a valid JSON Schema: {error.message}", hint="see json-schema.org") from error
        self.schema = schema
        self.fenced = fenced
        self._validator = validator(schema)

    def __repr__(self) -> str:
        return f"MatchesSchema({json.dumps(self.schema, sort_keys=True)}, fenced={self.fenced})"

    def __call__(self, output: str) -> Verdict:
        """Whether it fits; the first mismatch is named with its place."""
        try:
            document = _parse(output, fenced=self.fenced)
        except ValueError as error:
            return False, f"not valid JSON: {error}"
        mismatch = next(iter(self._validator.iter_errors(document)), None)
        return (True, None) if mismatch is None else (False, f"at {mismatch.json_path}: {mismatch.message}")


class WordCount(msgspec.Struct, frozen=True):
    """Between `at_least` and `at_most` words; in scripts without spaces each character counts as one."""

    at_least: int = 0
    at_most: int | None = None

    def __call__(self, output: str) -> Verdict:
        """Whether the number of words is within the bounds, both included."""
        words = len(unicode_tokens(output))
        if words < self.at_least:
            return False, f"{words} words, fewer than {self.at_least}"
        if self.at_most is not None and words > self.at_most:
            return False, f"{words} words, more than {self.at_most}"
        return True, None


class InLanguage(msgspec.Struct, frozen=True):
    """The output is in this language (ISO 639-1), by its script and its function words.

    Texts too short to tell pass when the script fits.
    """

    language: str

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise UsageError(
                f"language {self.language!r} cannot be recognised",
                hint=f"one of {', '.join(sorted(LANGUAGES))}{or_did_you_mean(self.language, LANGUAGES)}",
            )

    def __call__(self, output: str) -> Verdict:
        """Whether no other language is likelier."""
        likely = likely_languages(output)
        if not likely or self.language in likely:
            return True, None
        return False, f"reads as {' or '.join(sorted(likely))}, not {self.language}"


class EndsWith(msgspec.Struct, frozen=True):
    """The last sentences hold one of these closing phrases; the same words anywhere else do not count."""

    phrases: tuple[str, ...]
    last_sentences: int = 2

    def __call__(self, output: str) -> Verdict:
        """Whether the output closes with one of the phrases."""
        ending = " ".join(sentences(output)[-self.last_sentences :])
        found = any(_pattern(phrase).search(fold(ending)) for phrase in self.phrases)
        return found, None if found else f"does not close with any of: {', '.join(self.phrases)}"


class NoTerms(msgspec.Struct, frozen=True):
    """None of these words or phrases, case-insensitive and by whole words: competitors, jargon, banned phrases."""

    terms: tuple[str, ...]
    what: str = "forbidden term"

    def __call__(self, output: str) -> Verdict:
        """Whether none occurs; all that occur are named."""
        text = fold(output)
        found = [term for term in self.terms if _pattern(term).search(text)]
        return not found, f"{self.what}: {', '.join(found)}" if found else None


def no_competitors(*names: str) -> NoTerms:
    """None of these competitors is named."""
    return NoTerms(names, "names a competitor")


def no_jargon(*terms: str) -> NoTerms:
    """None of these internal terms is used."""
    return NoTerms(terms, "internal jargon")


class NoInventedPrices(msgspec.Struct, frozen=True):
    """Every price in the output is in the context or among `known` (texts like "$49 per month").

    With neither, any price fails: nothing says that it is right. A price is a number, in figures or in words of the
    offered languages, beside any currency sign, ISO code or name. What stands beside a currency and cannot be read is
    not checkable, which is not a pass.
    """

    known: tuple[str, ...] = ()

    def __call__(self, output: str, context: Any = None) -> Verdict | Unscored:
        """Whether each price agrees with a known one in value, currency and, where both say it, period."""
        source = "\n".join([passage_text(context), *self.known])
        stated = prices(source)
        invented = [price.text for price in prices(output) if not any(price.agrees(one) for one in stated)]
        if invented:
            return False, f"invented price: {', '.join(invented)}"
        unread = [amount for amount in unread_amounts(output) if amount not in source]
        if unread:
            return Unscored(f"not checkable: the price {', '.join(unread)} cannot be read")
        return True, None


_REFUND = r"(?:refund(?:s|ed|ing)?|reimburse(?:d|ment)?|money back|credit(?:ed)? (?:you|back|your))"
_PROMISE = re.compile(
    rf"\b(?:(?:i|we)(?:['’]ll| will| can| shall|['’]ve| have|['’]m going to| are going to|['’]d be happy to)\b[^.!?]{{0,60}}\b{_REFUND}"
    rf"|you(?:['’]ll| will| are going to) (?:get|receive|be (?:fully )?)[^.!?]{{0,40}}\b{_REFUND}"
    rf"|(?:i|we) guarantee\b[^.!?]{{0,40}}\b{_REFUND}|{_REFUND} (?:is|are) (?:guaranteed|on (?:its|the) way|being processed|approved)"
    rf"|your (?:full )?refund (?:will be|has been|is being) (?:issued|processed|approved|sent))",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:not|cannot|never|unable|no)\b|n['’]t\b|\b(?:if|whether|may|might|check|request|ask)\b", re.IGNORECASE
)


class NoRefundPromise(msgspec.Struct, frozen=True):
    """The output does not commit to a refund (English); describing the policy or a condition is fine."""

    def __call__(self, output: str) -> Verdict:
        """Whether no sentence promises money back."""
        for sentence in sentences(output):
            promise = _PROMISE.search(sentence)
            if promise and not _DENIED.search(promise.group()):
                return False, f"promises a refund: {promise.group().strip()!r}"
        return True, None


def fold(text: str) -> str:
    """The text for comparing: compatibility forms and case folded, invisible characters gone, spaces single."""
    return " ".join(unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold().split())


def _pattern(term: str) -> re.Pattern[str]:
    folded = fold(term)
    if not folded:
        raise UsageError("an empty term matches everywhere", hint="remove it from the list")
    # Where words are not divided by spaces there is no boundary to ask for.
    start = "" if is_unspaced(folded[0]) or not folded[0].isalnum() else r"(?<!\w)"
    end = "" if is_unspaced(folded[-1]) or not folded[-1].isalnum() else r"(?!\w)"
    return re.compile(start + re.escape(folded) + end)


def _parse(output: str, *, fenced: bool) -> Any:
    match = _FENCE.match(output) if fenced else None
    return json.loads(match.group(1) if match else output, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
