"""Constraints on what an output gives away or points to: personal data, and links that leave the own domains."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec

from ...errors import UsageError, or_did_you_mean
from ...instrument.personal_data import KINDS
from .checks import Verdict, fold

_LINK = re.compile(r"(?:https?:)?//[^\s<>\"')\]]+|\b(?:[a-z0-9-]+\.)+[a-z]{2,}(?:/[^\s<>\"')\]]*)?", re.IGNORECASE)
_NOT_A_DOMAIN = re.compile(
    r"\.(?:py|js|ts|md|txt|csv|json|jsonl|pdf|png|jpe?g|gif|svg|zip|exe|html?|xml|ya?ml|toml|docx?|xlsx?|log|sh|sql|g|e)$",
    re.IGNORECASE,
)


class NoPersonalData(msgspec.Struct, frozen=True):
    """No e-mail address, phone or card number, IBAN, US social security number, IP address or API key, but those `allowed`.

    What is looked for is what `init(redact=True)` masks. Card numbers must pass the Luhn test and IBANs ISO 7064, so
    order numbers are not taken for them. An allowed
    entry is the text itself, or `@domain` for all addresses of a domain.
    """

    kinds: tuple[str, ...] = tuple(KINDS)
    allowed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in KINDS:
                near = or_did_you_mean(kind, KINDS)
                raise UsageError(f"personal data of kind {kind!r} is unknown", hint=f"{', '.join(KINDS)}{near}")

    def __call__(self, output: str) -> tuple[bool, str | None]:
        """Whether none is found; the kinds are named, never the data itself."""
        found: list[str] = []
        rest = output
        for kind in self.kinds:
            texts = KINDS[kind].find(rest)
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
        text = KINDS["email"].pattern.sub(" ", output) if "//" not in output else output
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
