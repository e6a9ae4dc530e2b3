"""The language of a text, guessed from its frequent words, else from its script; the queries' part `language` says the same in SQL."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

LANGUAGES = {
    "en": "the is and of what how my for do does can with have are you it to i",
    "de": "der die das und ist ich wie nicht ein eine mein kann mit was zu für auf sie",
    "fr": "le la les et est je un une des mon ma pour que pas comment vous du avec",
    "es": "el la los y es un una mi para que no cómo con por puedo del las está",
    "it": "il lo gli e è un una mio per che non come con posso di della sono mia",
    "pt": "o os e é um uma meu minha para que não como com por posso do da você",
    "nl": "de het een en is ik mijn voor dat niet hoe met kan van wat op je zijn",
}
"""The most frequent words of each language; of two that a text has as many words of, the first is taken."""
SCRIPTS = {
    "Han": "\u4e00-\u9fff",
    "Kana": "\u3040-\u30ff",
    "Hangul": "\uac00-\ud7af",
    "Cyrillic": "\u0400-\u04ff",
    "Arabic": "\u0600-\u06ff",
    "Devanagari": "\u0900-\u097f",
    "Greek": "\u0370-\u03ff",
    "Hebrew": "\u0590-\u05ff",
}
"""Names of scripts and the characters that tell them; the first of which a text has one is taken."""
UNKNOWN = "unknown"
MAX_CHARACTERS = 2000
_WORD = re.compile(r"[^\W\d_]+")
_SCRIPTS = {name: re.compile(f"[{characters}]") for name, characters in SCRIPTS.items()}
_SPOKEN = {
    word: tuple(name for name, words in LANGUAGES.items() if word in words.split())
    for word in " ".join(LANGUAGES.values()).split()
}


@lru_cache(maxsize=512)
def language_of(text: str) -> str:
    """The language of a text by its first 2,000 characters: `en`, `de`, ..., else a script such as `Han`, else `unknown`."""
    counted: Counter[str] = Counter()
    for word in _WORD.findall(text[:MAX_CHARACTERS].lower()):
        counted.update(_SPOKEN.get(word, ()))
    if counted:
        return max(LANGUAGES, key=counted.__getitem__)
    return next((name for name, found in _SCRIPTS.items() if found.search(text)), UNKNOWN)
