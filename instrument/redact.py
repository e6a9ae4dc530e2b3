"""Masks personal data and secrets in captured text, in the app's process, before a span holds it.

Nothing is masked unless asked for. Whatever a redactor cannot handle is withheld, never let through.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ConfigError

log = logging.getLogger(__name__)

WITHHELD = "[withheld: redaction failed]"
TextRule = Callable[[str], str]

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
_CARD = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,3})?\b")
_PHONE = re.compile(r"(?<![\w.+-])(?:\+|00)?\(?\d{1,4}\)?(?:[ ./-]?\(?\d{2,4}\)?){2,4}(?![\w-]|\.\d)")
_API_KEY = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{16,}|(?:gh[pousr]|github_pat)_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{20,}"
    r"|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}|xox[abprs]-[A-Za-z0-9-]{10,}|hf_[A-Za-z0-9]{30,}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})"
)


def luhn_valid(digits: str) -> bool:
    """Whether the digits pass the check of ISO/IEC 7812-1, which card numbers do."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def iban_valid(text: str) -> bool:
    """Whether the account number passes the modulo-97 check of ISO 13616."""
    compact = text.replace(" ", "")
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def _mask_card(match: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", match.group())
    return "[CARD]" if luhn_valid(digits) else match.group()


def _mask_iban(match: re.Match[str]) -> str:
    return "[IBAN]" if iban_valid(match.group()) else match.group()


def _mask_phone(match: re.Match[str]) -> str:
    # Seven digits at least and some mark of a telephone number: order numbers and years stay readable.
    text = match.group()
    digits = sum(char.isdigit() for char in text)
    marked = text.startswith(("+", "00")) or any(char in " ()./-" for char in text)
    return "[PHONE]" if marked and 7 <= digits <= 15 and not _DATE.fullmatch(text) else text


_DATE = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4}|\d{4}-\d{4}")

# In this order: an IBAN or a card number must not be half eaten as a telephone number.
BUILT_IN: dict[str, TextRule] = {
    "api_key": lambda text: _API_KEY.sub("[API_KEY]", text),
    "email": lambda text: _EMAIL.sub("[EMAIL]", text) if "@" in text else text,
    "iban": lambda text: _IBAN.sub(_mask_iban, text),
    "card": lambda text: _CARD.sub(_mask_card, text),
    "phone": lambda text: _PHONE.sub(_mask_phone, text),
}

# Values under these keys are names and references that the conventions define, not content.
_STRUCTURE = frozenset({"type", "role", "id", "finish_reason", "modality", "mime_type", "sha256"})


class Redactor:
    """Applies rules in turn to every text inside a captured value."""

    def __init__(self, rules: Sequence[TextRule]) -> None:
        self._rules = tuple(rules)
        self._complained = False

    def text(self, text: str) -> str:
        """The text after every rule; withheld when a rule raises or returns no text."""
        try:
            for rule in self._rules:
                text = rule(text)
            if not isinstance(text, str):
                raise TypeError(f"a redaction rule returned {type(text).__name__}, not str")
        except Exception as error:  # noqa: BLE001 - any fault of a rule withholds the text
            if not self._complained:
                self._complained = True
                log.warning("a redaction rule failed (%s: %s); content is withheld", type(error).__name__, error)
            return WITHHELD
        return text

    def value(self, value: Any) -> Any:
        """The same value with every text and number in it redacted; containers are copied, never changed."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {
                key: item if key in _STRUCTURE and isinstance(item, str) else self.value(item)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            # A card number given as a number is one all the same.
            masked = self.text(str(value))
            return value if masked == str(value) else masked
        return value


def make_redactor(option: Any) -> Redactor | None:
    """A redactor of what `init(redact=...)` was given, None when nothing is to be masked.

    True means every built-in rule; a name means one of them; any other text is a regular expression whose matches
    become [REDACTED]; a callable gets each text and returns what may leave. ConfigError for anything else.
    """
    if option is None or option is False:
        return None
    given = list(option) if isinstance(option, (list, tuple, set)) else [option]
    rules: list[TextRule] = []
    for item in given:
        if item is True or item in ("all", "default"):
            rules.extend(BUILT_IN.values())
        else:
            rules.append(_rule(item.strip() if isinstance(item, str) else item))
    return Redactor(rules) if rules else None


def _rule(item: Any) -> TextRule:
    if isinstance(item, str):
        if item in BUILT_IN:
            return BUILT_IN[item]
        try:
            item = re.compile(item)
        except re.error as error:
            raise ConfigError(
                f"redact={item!r} is neither a built-in rule nor a regular expression ({error}).",
                hint=f"The built-in rules are {', '.join(BUILT_IN)}.",
            ) from error
    if isinstance(item, re.Pattern):
        pattern = item
        return lambda text: pattern.sub("[REDACTED]", text)
    if callable(item):
        rule: TextRule = item
        return rule
    raise ConfigError(
        f"redact cannot use {item!r}.",
        hint=f"Give True, names ({', '.join(BUILT_IN)}), regular expressions or functions from text to text.",
    )
