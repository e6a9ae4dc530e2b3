"""Reference-based evaluators that need no model: exact match and token F1; feed the gate like any other evaluator.

Which metric for which task stands in docs/evaluators.md.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from typing import Any

from ...errors import UsageError, or_did_you_mean
from ..evaluator import EvaluationWarning, Score, Unscored, evaluator
from ..text.tokens import Tokenizer, squad_tokens, unicode_tokens

TOKENIZERS: dict[str, Tokenizer] = {"squad": squad_tokens, "unicode": unicode_tokens}
_FREE_TEXT_WORDS = 3
_NO_REFERENCE = Unscored("no expected output to compare with")


@evaluator(name="exact_match", version="1", inline=True)
def exact_match(output: Any, expected: Any) -> Score | Unscored:
    """1 when the output is the expected value, else 0; for structured output (labels, ids, JSON), not for free text.

    Surrounding white space does not count; JSON objects and arrays are compared as data. `expected` may be a list of
    accepted values. Warns (EvaluationWarning, and `details["warning"]`) when the expected value reads as free text:
    "within 3-5 business days" and "in 3 to 5 business days" mean the same and score 0.
    """
    if expected is None:
        return _NO_REFERENCE
    accepted = expected if isinstance(expected, list) and not isinstance(output, list) else [expected]
    value = _comparable(output)
    matched = any(value == _comparable(one) for one in accepted)
    details: dict[str, Any] = {}
    if any(_is_free_text(one) for one in accepted):
        details["warning"] = (
            "exact match on free text: any other wording scores 0; use token_f1 or SemanticSimilarity, "
            "and keep exact_match for labels, ids and JSON"
        )
        warnings.warn(details["warning"], EvaluationWarning, stacklevel=2)
    return Score(1.0 if matched else 0.0, passed=matched, details=details)


@evaluator(name="token_f1", version="1", inline=True)
def token_f1(output: Any, expected: Any, *, tokenizer: str | Tokenizer = "squad") -> Score | Unscored:
    """Token overlap F1 exactly as the official SQuAD script, with precision and recall in `details`.

    Both empty is 1, one empty or nothing in common is 0; several references (a list) give the best F1. `tokenizer`:
    "squad" (the official normalisation), "unicode" (any script, Chinese, Japanese and Thai by character) or a
    callable from text to tokens; in a suite write `token_f1.using(tokenizer="unicode")`.

    Source: evaluate-v2.0.py, Rajpurkar et al. (2018), `compute_f1`.
    """
    if expected is None:
        return _NO_REFERENCE
    tokenize = _tokenizer(tokenizer)
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


def _tokenizer(tokenizer: str | Tokenizer) -> Tokenizer:
    if callable(tokenizer):
        return tokenizer
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


def _comparable(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _is_free_text(value: Any) -> bool:
    return isinstance(_comparable(value), str) and len(str(value).split()) >= _FREE_TEXT_WORDS
