"""What personal data and secrets look like in text: one definition for masking them and for finding them in answers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

import msgspec


class Kind(msgspec.Struct, frozen=True):
    """One kind of data: its pattern, and what tells a real one from digits that only look like it."""

    name: str
    pattern: re.Pattern[str]
    is_real: Callable[[str], bool] = lambda text: True  # noqa: ARG005 - the pattern alone decides

    def find(self, text: str) -> list[str]:
        """Every occurrence, as it stands in the text."""
        return [match.group() for match in self.pattern.finditer(text) if self.is_real(match.group())]

    def mask(self, text: str) -> str:
        """The text with the kind's name in brackets for every occurrence."""
        mark = f"[{self.name.upper()}]"
        return self.pattern.sub(lambda match: mark if self.is_real(match.group()) else match.group(), text)


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


def _is_card(text: str) -> bool:
    return luhn_valid(re.sub(r"\D", "", text))


def _is_phone(text: str) -> bool:
    # Seven digits at least and some mark of a telephone number: order numbers and years stay readable.
    digits = sum(char.isdigit() for char in text)
    marked = text.startswith(("+", "00")) or any(char in " ()./-" for char in text)
    return marked and 7 <= digits <= 15 and not _DATE.fullmatch(text)


def _is_address(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False


_DATE = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4}|\d{4}-\d{4}")
_API_KEY = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{16,}|(?:gh[pousr]|github_pat)_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{20,}"
    r"|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}|xox[abprs]-[A-Za-z0-9-]{10,}|hf_[A-Za-z0-9]{30,}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})"
)
_EMAIL = re.compile(r"[\w.%+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}\b")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,3})?\b")
_CARD = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w])", re.ASCII)
_SSN = re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])", re.ASCII)
_IP = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)", re.ASCII)
_PHONE = re.compile(r"(?<![\w.+-])(?:\+|00)?\(?\d{1,4}\)?(?:[ ./-]?\(?\d{2,4}\)?){2,4}(?![\w-]|\.\d)", re.ASCII)

# In this order: an IBAN, a card number or an address must not be half eaten as a telephone number.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("api_key", _API_KEY),
        Kind("email", _EMAIL),
        Kind("iban", _IBAN, iban_valid),
        Kind("card", _CARD, _is_card),
        Kind("ssn", _SSN),
        Kind("ip", _IP, _is_address),
        Kind("phone", _PHONE, _is_phone),
    )
}
