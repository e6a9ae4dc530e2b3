"""Tells languages apart by script and function words: enough for "answers in the customer's language", no model."""

from __future__ import annotations

import re
from collections import Counter

from .tokens import unicode_tokens

# The most frequent function words that few other languages share.
_WORDS = {
    "en": "the and of to is in that you for it with on are this your can not have be as will from or at",
    "es": "el los las de que y en un una por con para su es del al no se más como está puede usted nuestro",
    "fr": "le les des et est une que dans pour vous votre nous pas sur avec ce au aux du qui sont être peut",
    "de": "der die das und ist nicht sie ein eine zu mit den auf für von im dem ihr ihre wir sich auch können",
    "it": "il gli che di e una per con non è della dei nel sono alla del può questo suo nostro anche più",
    "pt": "o os as de que e uma para com não do da em no na por seu sua você está são mais como pode nosso",
    "nl": "de het een en van is niet op te dat voor met zijn u uw wij aan ook kunt naar bij wordt deze",
    "sv": "och att det som en på är av för med till den inte om ett kan du vi från har din eller",
    "da": "og at det som en på er af for med til den ikke om et kan du vi fra har din eller jeg",
    "pl": "i w na nie się jest do że z to jak o po dla od ale przez są oraz może twoje czy",
    "tr": "ve bir bu için ile da de çok olarak daha var sizin olan kadar gibi veya değil",
    "id": "yang dan di untuk dengan ini dari tidak anda pada itu dapat akan adalah kami atau ke",
}
_SCRIPTS = {
    "ja": re.compile(r"[\u3040-\u30ff]"),
    "ko": re.compile(r"[\uac00-\ud7af]"),
    "zh": re.compile(r"[\u4e00-\u9fff]"),
    "ru": re.compile(r"[\u0400-\u04ff]"),
    "ar": re.compile(r"[\u0600-\u06ff]"),
    "he": re.compile(r"[\u0590-\u05ff]"),
    "el": re.compile(r"[\u0370-\u03ff]"),
    "th": re.compile(r"[\u0e00-\u0e7f]"),
    "hi": re.compile(r"[\u0900-\u097f]"),
}
_VOCABULARY = {language: frozenset(words.split()) for language, words in _WORDS.items()}
_SPOKEN_IN = {
    word: tuple(language for language, words in _VOCABULARY.items() if word in words)
    for word in frozenset().union(*_VOCABULARY.values())
}
_LETTERS = re.compile(r"[^\W\d_]")
LANGUAGES = frozenset(_VOCABULARY) | frozenset(_SCRIPTS)


def likely_languages(text: str) -> frozenset[str]:
    """The languages (ISO 639-1) that the text most likely is in; empty when nothing tells."""
    letters = len(_LETTERS.findall(text))
    if not letters:
        return frozenset()
    for language, script in () if text.isascii() else _SCRIPTS.items():
        # Japanese mixes kana with Han characters, so a fifth is enough; kana is asked for first.
        if len(script.findall(text)) >= letters * (0.2 if language == "ja" else 0.5):
            return frozenset([language])
    words = unicode_tokens(text)
    counts = Counter(language for word in words for language in _SPOKEN_IN.get(word, ()))
    best = max(counts.values(), default=0)
    # One shared word ("no", "de") tells nothing.
    return frozenset(one for one, count in counts.items() if count == best) if best >= 2 else frozenset()
