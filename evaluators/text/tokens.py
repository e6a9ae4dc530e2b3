"""Words out of text: the SQuAD normalisation, Unicode words for any script, sentences and light English stems.

The reference metrics, grounding and the guards of semantic similarity read text through here.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable
from functools import lru_cache

import regex

Tokenizer = Callable[[str], list[str]]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
# Scripts written without spaces between words: each character is a token (Han, kana, Thai, Lao, Khmer, Burmese).
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# A combining mark belongs to its letter: in Indic scripts it is the vowel.
_UNICODE_WORD = regex.compile(rf"[{_UNSPACED}]\p{{M}}*|(?:[^\W_{_UNSPACED}]\p{{M}}*[\u200c\u200d]?)+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_BOUNDARY = regex.compile(r"(?wV1)\b")  # UAX 29 word boundaries
_WORDLIKE = regex.compile(r"[\p{L}\p{N}\p{S}%‰#&@]")
_INVISIBLE = regex.compile(r"[\u00ad\u200b\u2060\ufeff]")
# Arabic and Hebrew are written with and without these.
_VOWEL_SIGNS = regex.compile(
    r"[\u0640\u064b-\u065f\u0670\u06d6-\u06ed\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]"
)
_GROUPED = regex.compile(r"(?<![\d.,])\d{1,3}(?:(?:,\d{3})+|(?:['’]\d{3})+|(?:[\u00a0\u202f\u2009]\d{3})+)(?![\d,])")
_SIGNED = regex.compile(r"(?<![\w\p{S})\]%])[-−](?=\d)")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?![a-z])|(?<=[。！？])|[\r\n]+|\s[•*–—]\s")
_LIST_MARK = re.compile(r"^\s*(?:[-*•>#]+|\d{1,2}[.)])\s+")
_APOSTROPHES = str.maketrans("’ʼ", "''")
_ABBREVIATIONS = ("e.g.", "i.e.", "etc.", "vs.", "dr.", "mr.", "mrs.", "ms.", "no.", "approx.", "inc.", "u.s.")


def squad_tokens(text: str) -> list[str]:
    """The tokens of the official SQuAD script: lower case, ASCII punctuation and English articles removed.

    Source: evaluate-v2.0.py of Rajpurkar et al. (2018), functions `normalize_answer` and `get_tokens`.
    """
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def unicode_tokens(text: str) -> list[str]:
    """Case-folded words of any script, without symbols; in scripts written without spaces each character is a token."""
    if text.isascii():  # the same, several times as quick
        return _ASCII_WORD.findall(text.lower())
    found: list[str] = _UNICODE_WORD.findall(fold_case(text))
    return found


def unicode_segments(text: str, *, numbers: bool = True) -> list[str]:
    """Case-folded words, numbers and symbols by UAX 29 (the default word boundaries of Unicode).

    A mark stays with its letter and a sign with its number; emoji, currency signs and operators are tokens,
    punctuation is not, unless there is nothing else. Vowel points of Arabic and Hebrew do not count. With `numbers`,
    digits of any script are ASCII digits, and separators of thousands are left out: 1,000 is 1000 (1.000 stays).
    """
    if numbers:
        # Before NFKC makes a thin space a plain one.
        text = _GROUPED.sub(lambda match: "".join(filter(str.isdecimal, match.group())), text)
    text = fold_case(text)
    if not text.isascii():
        text = _VOWEL_SIGNS.sub("", text).translate(_APOSTROPHES)
    if numbers and not text.isascii():
        text = "".join(str(unicodedata.decimal(one)) if one.isdecimal() else one for one in text)
    text = _SIGNED.sub("\ue000", text)  # a private letter, so that the sign joins its number
    pieces = [piece for piece in _BOUNDARY.split(text) if piece.strip()]
    found = [piece.replace("\ue000", "-") for piece in _join_signs(pieces) if _WORDLIKE.search(piece)]
    return found or [character for character in text if not character.isspace()]


def fold_case(text: str) -> str:
    """The text in one form for comparing: NFKC, case-folded, without invisible characters, Turkish i as i."""
    if text.isascii():
        return text.lower()
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).replace("İ", "i").replace("ı", "i")
    return unicodedata.normalize("NFC", text.casefold())


def _join_signs(pieces: list[str]) -> list[str]:
    joined: list[str] = []
    for piece in pieces:
        if joined and joined[-1] == "\ue000":
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text, without list markers and empty pieces."""
    pieces: list[str] = []
    for piece in _SENTENCE_END.split(text):
        if pieces and pieces[-1].lower().endswith(_ABBREVIATIONS):
            pieces[-1] += f" {piece}"
        else:
            pieces.append(piece)
    stripped = (_LIST_MARK.sub("", piece).strip() for piece in pieces)
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
