"""Words out of text: the SQuAD normalisation, Unicode words for any script, sentences and light English stems.

The reference metrics, grounding and the guards of semantic similarity read text through here.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable
from functools import lru_cache

Tokenizer = Callable[[str], list[str]]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
# Scripts written without spaces between words: each character is a token (Han, kana, Thai, Lao, Khmer, Burmese).
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_UNICODE_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?![a-z])|(?<=[。！？])|[\r\n]+|\s[•*–—]\s")
_ABBREVIATIONS = ("e.g.", "i.e.", "etc.", "vs.", "dr.", "mr.", "mrs.", "ms.", "no.", "approx.", "inc.", "u.s.")


def squad_tokens(text: str) -> list[str]:
    """The tokens of the official SQuAD script: lower case, ASCII punctuation and English articles removed.

    Source: evaluate-v2.0.py of Rajpurkar et al. (2018), functions `normalize_answer` and `get_tokens`.
    """
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def unicode_tokens(text: str) -> list[str]:
    """Case-folded words of any script; in scripts written without spaces each character is a token."""
    return _UNICODE_WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text, without list markers and empty pieces."""
    pieces: list[str] = []
    for piece in _SENTENCE_END.split(text):
        if pieces and pieces[-1].lower().endswith(_ABBREVIATIONS):
            pieces[-1] += f" {piece}"
        else:
            pieces.append(piece)
    stripped = (re.sub(r"^\s*(?:[-*•>#]+|\d{1,2}[.)])\s+", "", piece).strip() for piece in pieces)
    return [piece for piece in stripped if piece]


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """A light English stem: enough that `includes`, `included` and `including` meet; other words stay as they are."""
    if len(word) <= 3 or not word.isascii():
        return word
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("ations", "at"), ("ation", "at"), ("ions", ""), ("ion", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)] + instead
    for ending in ("ingly", "edly", "ments", "ment", "ness", "ally", "ing", "ers", "est", "ed", "er", "es", "ly", "al"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return _undouble(word[: -len(ending)])
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > 4 else word


def _undouble(root: str) -> str:
    if len(root) > 3 and root[-1] == root[-2] and root[-1] not in "aeiousl":
        return root[:-1]
    return root[:-1] if root.endswith("e") and len(root) > 4 else root


def is_unspaced(character: str) -> bool:
    """Whether the character belongs to a script that is written without spaces between words."""
    return re.match(f"[{_UNSPACED}]", character) is not None
