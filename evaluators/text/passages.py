"""Reads contexts and outputs in the shapes they come in, and their content words and negations.

Grounding, hallucination judging and the similarity guards compare passages through here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from .tokens import stem, unicode_tokens

_TEXT_KEYS = ("text", "content", "page_content", "document", "output", "question", "body", "value")
_STOPWORDS = frozenset(
    """
    a about above after all also am an and any are as at be been before being below both but by can could did do
    does doing don down during each either else ever every few for from further get gets getting give given
    gives go had has have having he her here hers him his how however i if in into is isn it its itself just
    know let like ll made make makes many may me might more most much must my near need needs no nor not now of
    off on once one only onto or other our ours out over own please per re s same she should simply since so
    some such sure t than that the their theirs them then there these they this those through thus to today too
    under until up upon us use used uses using ve very via want was way we well were what when whenever where
    wherever whether which while who whom whose why will with within without would yes yet you your yours
    yourself able also additionally according available based currently directly easily etc general generally
    help helps including indeed instead option options particular particularly regarding several simple specific
    therefore thing things various
    """.split()
)
_BARE = re.compile(r"[\W_]+")
_IDIOMS = re.compile(
    r"\b(?:not only|no later than|no more than|no less than|no fewer than|no longer than|no (?:extra|additional) "
    r"(?:cost|charge|fee)s?|no problem|no[- ]code|no matter|no doubt|not just)\b",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|neither|nor|without|cannot|can't|lacks?|lacking|excludes?|excluded|excluding|"
    r"un(?:available|supported|able)|non-?\w+|prohibit\w*|forbid\w*|forbidden|refuse[sd]?)\b|n['’]t\b",
    re.IGNORECASE,
)
# A denied word counts as the word it denies, so that "unavailable" meets "not available".
_DENIED = {"unavailable": "avail", "unsupported": "support", "exclude": "includ", "excludes": "includ",
           "excluded": "includ", "excluding": "includ", "unable": "abl"}  # fmt: skip
_DENIALS = frozenset(
    """
    not no never none neither nor without cannot lack lacks lacking non prohibit prohibited forbid forbidden
    """.split()
)


def passage_text(value: Any) -> str:
    """The text of a string, a list of passages, a retrieved document, chat messages or any JSON value."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        if isinstance(value.get("parts"), list):
            return passage_text(value["parts"])
        texts = [passage_text(value[key]) for key in _TEXT_KEYS if value.get(key)]
        return "\n".join(texts) if texts else json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return "\n".join(passage_text(item) for item in value)
    return str(value)


def source_of_evidence(context: Any, evidence: str | None) -> str | None:
    """The source of the passage that holds the evidence, where the context names sources; None where it does not."""
    if not evidence or not isinstance(context, Sequence) or isinstance(context, str | bytes):
        return None
    wanted = _bare(evidence)
    for item in context:
        if isinstance(item, Mapping) and item.get("source") and wanted in _bare(passage_text(item)):
            return str(item["source"])
    return None


def labelled_text(context: Any) -> str:
    """The text of a context with the source before each passage, where it names sources."""
    if not isinstance(context, Sequence) or isinstance(context, str | bytes):
        return passage_text(context)
    parts = []
    for item in context:
        label = f"[{item['source']}]\n" if isinstance(item, Mapping) and item.get("source") else ""
        parts.append(f"{label}{passage_text(item)}")
    return "\n".join(parts)


def _bare(text: str) -> str:
    return " ".join(_BARE.sub(" ", text.casefold()).split())


@lru_cache(maxsize=8192)
def content_stems(text: str) -> tuple[str, ...]:
    """The stems of the content words, in order: no function words, no bare numbers, no negations."""
    words = unicode_tokens(text)
    return tuple(
        _DENIED.get(word) or stem(word)
        for word in words
        if word not in _STOPWORDS and word not in _DENIALS and not word[0].isdigit() and len(word) > (word[0] < "\x80")
    )


def is_negated(text: str) -> bool:
    """Whether the clause denies something; idioms like "no later than" do not."""
    return _NEGATION.search(_IDIOMS.sub(" ", text)) is not None
