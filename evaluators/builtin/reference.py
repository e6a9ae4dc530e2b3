"""Reference-based evaluators that need no model: exact match and token F1; feed the gate like any other evaluator.

Which metric for which task stands in docs/evaluators.md.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any, Literal

from ...errors import UsageError, or_did_you_mean
from ..contract import EvaluationWarning, Score, Unscored, evaluator
from ..text.tokens import Tokenizer, squad_tokens, unicode_segments

TOKENIZERS: dict[str, Tokenizer] = {"squad": squad_tokens, "unicode": unicode_segments}
Numbers = Literal["normalized", "as_written"]
IGNORABLE = ("case", "invisible", "line_ends", "unicode_form", "white_space")
DEFAULT_IGNORED = ("invisible", "line_ends", "unicode_form")
_FREE_TEXT_WORDS = 3
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
_NO_REFERENCE = Unscored("no expected output to compare with")


@evaluator(name="exact_match", version="2", inline=True)
def exact_match(output: Any, expected: Any, *, ignore: Iterable[str] = DEFAULT_IGNORED) -> Score | Unscored:
    """1 when the output is the expected value, else 0; for structured output (labels, ids, JSON), not for free text.

    Surrounding white space does not count; JSON objects and arrays are compared as data, in which true is not 1 and a
    key that occurs twice is no JSON. A text and a number or truth value are compared by what the text says: "42" is
    42, "true" is true. `expected` may be a list of accepted values. `ignore` names what else does not count:
    "unicode_form" (NFC), "invisible" (byte order marks, zero-width spaces), "line_ends", and, not by default, "case"
    and "white_space" (runs of it are one space); in a suite write `exact_match.using(ignore=("case",))`.

    Warns (EvaluationWarning, and `details["warning"]`) when the expected value reads as free text: "within 3-5
    business days" and "in 3 to 5 business days" mean the same and score 0. Raises UsageError for an unknown name.
    """
    if expected is None:
        return _NO_REFERENCE
    ignored = _ignored(ignore)
    accepted = expected if isinstance(expected, list) and not isinstance(output, list) else [expected]
    matched = any(_same(output, one, ignored) for one in accepted)
    details: dict[str, Any] = {}
    if any(_is_free_text(one) for one in accepted):
        details["warning"] = (
            "exact match on free text: any other wording scores 0; use token_f1 or SemanticSimilarity, "
            "and keep exact_match for labels, ids and JSON"
        )
        warnings.warn(details["warning"], EvaluationWarning, stacklevel=2)
    return Score(1.0 if matched else 0.0, passed=matched, details=details)


@evaluator(name="token_f1", version="2", inline=True)
def token_f1(
    output: Any, expected: Any, *, tokenizer: str | Tokenizer = "squad", numbers: Numbers = "normalized"
) -> Score | Unscored:
    """Token overlap F1 exactly as the official SQuAD script, with precision and recall in `details`.

    Both empty is 1, one empty or nothing in common is 0; several references (a list) give the best F1. `tokenizer`:
    "squad" (the official normalisation), "unicode" (any script by UAX 29: marks, signs, symbols and emoji count,
    Chinese and Thai by character) or a callable from text to tokens; in a suite write
    `token_f1.using(tokenizer="unicode")`. `numbers` is for "unicode" only: "normalized" takes 1,000 as 1000 and
    digits of any script as the same digits, "as_written" does not.

    Source: evaluate-v2.0.py, Rajpurkar et al. (2018), `compute_f1`.
    """
    if expected is None:
        return _NO_REFERENCE
    tokenize = _tokenizer(tokenizer, numbers)
    found = tokenize(_as_text(output))
    references = expected if isinstance(expected, list) and expected else [expected]
    f1, precision, recall = max(_overlap(found, tokenize(_as_text(one))) for one in references)
    return Score(f1, details={"precision": precision, "recall": recall})


def _overlap(found: list[str], wanted: list[str]) -> tuple[float, float, float]:
    if not found or not wanted:
        same = float(found == wanted)
        return same, same, same
    common = sum((Counter(found) & Counter(wanted)).values())
    if not common:
        return 0.0, 0.0, 0.0
    precision, recall = common / len(found), common / len(wanted)
    return 2 * precision * recall / (precision + recall), precision, recall


def _tokenizer(tokenizer: str | Tokenizer, numbers: str) -> Tokenizer:
    if numbers not in ("normalized", "as_written"):
        raise UsageError(f"token_f1 has no numbers={numbers!r}", hint='use "normalized" or "as_written"')
    if callable(tokenizer):
        return tokenizer
    if tokenizer == "unicode":
        return partial(unicode_segments, numbers=numbers == "normalized")
    if tokenizer not in TOKENIZERS:
        raise UsageError(
            f"token_f1 has no tokenizer {tokenizer!r}",
            hint=f"use one of {', '.join(TOKENIZERS)} or a callable{or_did_you_mean(tokenizer, TOKENIZERS)}",
        )
    return TOKENIZERS[tokenizer]


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _ignored(names: Iterable[str]) -> frozenset[str]:
    given = frozenset([names] if isinstance(names, str) else names)
    unknown = sorted(given - set(IGNORABLE))
    if unknown:
        near = or_did_you_mean(unknown[0], IGNORABLE)
        raise UsageError(f"exact_match cannot ignore {unknown[0]!r}", hint=f"any of {', '.join(IGNORABLE)}{near}")
    return given


def _same(output: Any, expected: Any, ignored: frozenset[str]) -> bool:
    one, other = _comparable(output, ignored), _comparable(expected, ignored)
    if isinstance(one, str) and isinstance(other, bool | int | float):
        one = _scalar(one)
    elif isinstance(other, str) and isinstance(one, bool | int | float):
        other = _scalar(other)
    try:
        return _equal(one, other)
    except RecursionError:
        return False


def _equal(one: Any, other: Any) -> bool:
    """Equal as JSON data: true is not 1, 1 is 1.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_equal(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def _scalar(text: str) -> Any:
    """What a text says where a number or a truth value is asked for; the text itself where it says neither."""
    try:
        value = json.loads(text, parse_constant=float)
    except (ValueError, RecursionError):
        return text
    finite = isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))
    return value if finite else text


def _comparable(value: Any, ignored: frozenset[str] = frozenset(DEFAULT_IGNORED)) -> Any:
    if not isinstance(value, str):
        return value
    text = str(value)
    if "invisible" in ignored:
        text = _INVISIBLE.sub("", text)
    if "line_ends" in ignored:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "unicode_form" in ignored:
        text = unicodedata.normalize("NFC", text)
    if "case" in ignored:
        text = text.casefold()
    if "white_space" in ignored:
        text = " ".join(text.split())
    text = text.strip()
    if text[:1] in ("{", "["):
        try:
            return json.loads(text, object_pairs_hook=_unique)
        except (ValueError, RecursionError):
            return text
    return text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _is_free_text(value: Any) -> bool:
    return isinstance(_comparable(value), str) and len(str(value).split()) >= _FREE_TEXT_WORDS
