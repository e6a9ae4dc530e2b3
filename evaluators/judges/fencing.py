"""Keeps judged text from steering the judge: it is fenced with a code nobody can guess, and orders in it are seen.

The judges render their material through here; `find_injections` feeds the canary check of `Judge`.
"""

from __future__ import annotations

import re
import secrets

from ..text.tokens import sentences

_ORDER = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:instructions?|rules?|criteri[ao]n?|prompt|everything above|all (?:the )?above|all previous)\b"
    r"|\b(?:you are|act as|as) (?:now )?(?:an? |the )?(?:evaluator|judge|grader|fact[- ]checker|assistant)\b"
    r"|\b(?:give|assign|award|output|return|rate|grade|mark|score)\b.{0,40}\b(?:[1-5]\s*(?:/|out of)\s*5|score|"
    r"top marks?|full marks?|perfect|highest|maximum|(?:un)?supported|winner)\b"
    r"|\b(?:score|rating|verdict|grade)\b\W{0,4}(?:is|of|must be|should be|:|=)\W{0,4}[1-5]\b"
    r"|\bsystem (?:prompt|message|override|note)\b|^\s*(?:system|assistant)\s*:|<<<|<\|im_|\[/?INST\]",
    re.IGNORECASE | re.DOTALL,
)


def fresh_nonce(*texts: str) -> str:
    """Sixteen random hex digits that occur in none of the texts."""
    while True:
        nonce = secrets.token_hex(8)
        if not any(nonce in text for text in texts):
            return nonce


def fence(label: str, text: str, nonce: str) -> str:
    """The text between two lines that only someone who knows the nonce can write."""
    return f"<<<{label} {nonce}\n{text}\n<<<END OF {label} {nonce}"


def find_injections(text: str) -> list[str]:
    """The sentences that speak to the judge instead of to the reader."""
    return [sentence for sentence in sentences(text) if _ORDER.search(sentence)]


def strip_injections(text: str) -> str:
    """The text with those sentences taken out."""
    for sentence in find_injections(text):
        text = text.replace(sentence, "[...]")
    return text
