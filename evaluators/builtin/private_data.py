"""Constraints on what an output gives away or points to: personal data, and links that leave the own domains."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

import msgspec

from ...errors import UsageError, or_did_you_mean
from .checks import Verdict, fold

_PATTERNS = {
    "email": re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+(?![\w-])"),
    "iban": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"),
    "card": re.compile(r"(?<![\w-])(?:\d[ -]?){12,18}\d(?![\w-])"),
    "ssn": re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])"),
    "ip": re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)"),
    "phone": re.compile(r"(?<![\w+-])(?:\+\d{1,3}[ .-]?|\(\d{2,4}\) ?|0\d{1,4}[ /.-]|\d{3}[ .-])(?:\d{2,4}[ .-]?){2,4}(?![\w-])"),
}  # fmt: skip
_LINK = re.compile(r"(?:https?:)?//[^\s<>\"')\]]+|\b(?:[a-z0-9-]+\.)+[a-z]{2,}(?:/[^\s<>\"')\]]*)?", re.IGNORECASE)
_NOT_A_DOMAIN = re.compile(
    r"\.(?:py|js|ts|md|txt|csv|json|jsonl|pdf|png|jpe?g|gif|svg|zip|exe|html?|xml|ya?ml|toml|docx?|xlsx?|log|sh|sql|g|e)$",
    re.IGNORECASE,
)


class NoPersonalData(msgspec.Struct, frozen=True):
    """No e-mail address, phone or card number, IBAN, US social security number or IP address, but those `allowed`.

    Card numbers must pass the Luhn test and IBANs ISO 7064, so order numbers are not taken for them. An allowed
    entry is the text itself, or `@domain` for all addresses of a domain.
    """

    kinds: tuple[str, ...] = tuple(_PATTERNS)
    allowed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in _PATTERNS:
                near = or_did_you_mean(kind, _PATTERNS)
                raise UsageError(f"personal data of kind {kind!r} is unknown", hint=f"{', '.join(_PATTERNS)}{near}")

    def __call__(self, output: str) -> tuple[bool, str | None]:
        """Whether none is found; the kinds are named, never the data itself."""
        found: list[str] = []
        rest = output
        for kind in self.kinds:
            texts = [match.group() for match in _PATTERNS[kind].finditer(rest) if _is_real(kind, match.group())]
            if not all(map(self._allows, texts)):
                found.append(kind)
            for text in texts:  # what is an IBAN is not also a phone number
                rest = rest.replace(text, " ")
        return not found, f"personal data: {', '.join(found)}" if found else None

    def _allows(self, text: str) -> bool:
        folded = fold(text)
        return any(folded == fold(one) or (one.startswith("@") and folded.endswith(fold(one))) for one in self.allowed)


class OwnLinks(msgspec.Struct, frozen=True):
    """Every link leads to one of these domains or their subdomains."""

    domains: tuple[str, ...]

    def __call__(self, output: str) -> Verdict:
        """Whether none leads elsewhere; `acme.com.evil.io` and `https://acme.com@evil.io` do."""
        text = _PATTERNS["email"].sub(" ", output) if "//" not in output else output
        foreign = [host for host in map(_host, _LINK.findall(text)) if host and not self._owns(host)]
        return not foreign, f"links to {', '.join(dict.fromkeys(foreign))}" if foreign else None

    def _owns(self, host: str) -> bool:
        return any(host == domain or host.endswith(f".{domain}") for domain in map(str.casefold, self.domains))


def _host(link: str) -> str | None:
    link = link.rstrip(".,;:!?")
    if "//" not in link:
        name = link.split("/", 1)[0]
        return None if _NOT_A_DOMAIN.search(name) else name.casefold()
    try:
        return (urlsplit(link).hostname or "").rstrip(".") or link
    except ValueError:
        return link  # unreadable is not ours


def _is_real(kind: str, text: str) -> bool:
    digits = [int(one) for one in text if one.isdigit()]
    if kind == "card":
        doubled = [sum(divmod(2 * digit, 10)) if n % 2 else digit for n, digit in enumerate(reversed(digits))]
        return 13 <= len(digits) <= 19 and sum(doubled) % 10 == 0
    if kind == "iban":
        compact = text.replace(" ", "")
        number = "".join(str(int(letter, 36)) for letter in compact[4:] + compact[:4])
        return int(number) % 97 == 1
    if kind == "ip":
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return not address.is_loopback
    return 7 <= len(digits) <= 15 if kind == "phone" else True
