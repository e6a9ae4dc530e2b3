"""What strangers wrote, made harmless for where it is shown: terminals, CSV, Markdown, logs of CI, chat.

Span names, prompts, answers and errors come from models and their users. A terminal runs escape sequences in them, a
spreadsheet formulas, a CI runner lines that begin with `::`, a Markdown page loads images.
"""

from __future__ import annotations

import codecs
import os
import re
from typing import Any, TextIO, cast

# Controls but tab and newline, C1, halves of pairs, and what turns the order of characters or hides them: bidi, line separators, tags.
_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f"
_CONTROL = re.compile(f"[{_CONTROLS}]")
# Sequences that our own tables and progress bars use: colours, and the cursor's line.
_OWN_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-KSTfhlmnsu]")
_COMMAND = re.compile(r"^([\s\ufeff]*)::", re.MULTILINE)
_FORMULA = re.compile(r"^[\s\x00-\x1f\ufeff\u200b]*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_WRITTEN_OUT = "evalspan-written-out"
_MARKDOWN = re.compile(r"[\\`*_\[\]<>|!#~]")


def visible(text: str) -> str:
    r"""The text with controls written out, `\x1b` for an escape; tabs and newlines stay."""
    return _CONTROL.sub(_written, text)


def one_line(text: str, max_length: int = 0) -> str:
    """The text in one line without controls, cut to `longest` characters when that is not 0."""
    shown = visible(text.replace("\r\n", "\n").replace("\n", "⏎").replace("\t", " "))
    return shown if not max_length or len(shown) <= max_length else shown[: max_length - 1] + "…"


def csv_cell(value: Any) -> Any:
    """A cell, or a column's name, that a spreadsheet does not run: text that begins like a formula gets an apostrophe."""
    if not isinstance(value, str):
        return value
    shown = visible(value)
    runs = _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return f"'{shown}" if runs else shown


def markdown_text(text: str) -> str:
    """Text in which nothing is markup: no images, links, tags, tables, code."""
    return _MARKDOWN.sub(lambda found: "&lt;" if found.group() == "<" else "\\" + found.group(), visible(text))


def markdown_cell(text: object, max_length: int = 0) -> str:
    """One cell of a Markdown table."""
    line = " ".join(str(text).split())
    if max_length and len(line) > max_length:
        line = line[: max_length - 1] + "…"
    return markdown_text(line)


def ci_text(text: str) -> str:
    """Text in which no line is a command for GitHub's or Azure's runner: they trim a line, and look for `##[` anywhere."""
    return _COMMAND.sub(r"\1\\::", text).replace("##[", "#\\u0023[").replace("##vso[", "#\\u0023vso[")


def slack_text(text: str) -> str:
    """Text in which nothing is Slack's markup: no mentions of channels and people, no links with another text."""
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def file_name(text: str, max_length: int = 80) -> str:
    """A file's name made of a text: letters, digits, dots, dashes; never hidden, never in another folder."""
    plain = re.sub(r"[^\w.-]+", "-", text).strip(".-")[:max_length]
    return plain or "unnamed"


class SafeStream:
    """
    A text stream that writes controls out, whoever writes: the last line of defence for every command.

    What the stream's encoding cannot say, such as a redirected console's on Windows, is written out likewise.

    Sequences for colours and for the cursor's line pass, our own tables and progress bars need them. In CI no line
    becomes a command; `unfiltered` is the stream for those that are ours.
    """

    def __init__(self, stream: TextIO, *, in_ci: bool) -> None:
        self.unfiltered = stream
        self._in_ci = in_ci

    def write(self, text: str) -> int:
        """Writes the text; returns how many characters were given."""
        parts = _OWN_SEQUENCE.split(text)
        between = _OWN_SEQUENCE.findall(text)
        shown = "".join(part + sequence for part, sequence in zip(map(_printed, parts), [*between, ""], strict=True))
        self.unfiltered.write(
            _encodable(ci_text(shown) if self._in_ci else shown, getattr(self.unfiltered, "encoding", None))
        )
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Writes each."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unfiltered, name)


def safe_stream(stream: TextIO) -> TextIO:
    """The stream, guarded; in CI when the environment says that this is a step of GitHub's or Azure's."""
    if isinstance(stream, SafeStream):
        return stream
    in_ci = os.environ.get("GITHUB_ACTIONS") == "true" or bool(os.environ.get("TF_BUILD"))
    return cast("TextIO", SafeStream(stream, in_ci=in_ci))


def _printed(text: str) -> str:
    return _CONTROL.sub(lambda found: found.group() if found.group() == "\r" else _in_json(found.group()), text)


def _encodable(text: str, encoding: str | None) -> str:
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return text.encode(encoding or "utf-8", _WRITTEN_OUT).decode(encoding or "utf-8")
    return text


def _written_out(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(_in_json, error.object[error.start : error.end])), error.end


codecs.register_error(_WRITTEN_OUT, _written_out)


def _in_json(character: str) -> str:
    """Written so that JSON stays JSON, which holds the same text then."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _written(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
