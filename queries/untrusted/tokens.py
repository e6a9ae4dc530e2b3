"""Splits SQL text into ClickHouse's tokens, so that a name can be replaced without touching texts and comments."""

from __future__ import annotations

import re

import msgspec

_TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|\#[ !][^\n]*|/\*.*?\*/)
    |(?P<text>'(?:[^'\\]|\\.|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<quoted>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
    |(?P<word>[^\W\d][\w$]*)
    |(?P<number>\d[\w]*)
    |(?P<sign>.)""",
    re.DOTALL | re.VERBOSE,
)


class Token(msgspec.Struct, frozen=True):
    """One piece of a statement; all pieces together are its text."""

    kind: str
    """blank (also comments), text, quoted, word, number or sign."""
    text: str

    @property
    def name(self) -> str:
        """What the token names when it is an identifier, else ""."""
        if self.kind == "word":
            return self.text
        if self.kind == "quoted":
            quote = self.text[0]
            return re.sub(r"\\(.)", r"\1", self.text[1:-1].replace(quote * 2, quote), flags=re.DOTALL)
        return ""


def tokenize(sql: str) -> list[Token]:
    """The tokens of a statement, blanks and comments included, in order."""
    return [Token(_kind(found), found.group()) for found in _TOKEN.finditer(sql)]


def _kind(found: re.Match[str]) -> str:
    return "text" if found["text"] is not None else found.lastgroup or "sign"


def quoted(name: str) -> str:
    """A name as an identifier of SQL, whatever is in it."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
