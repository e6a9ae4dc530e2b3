"""Puts the chunks of a streamed chat or legacy completion together into the completion that was streamed.

What it makes has the form of a whole completion and is read by the same code, so both give the same span. A chunk of
plain text takes a few attribute reads; every odd chunk is taken apart piece by piece, so that none costs the others.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ... import semconv
from ...tracing import Attributes
from ..parts import field, fields, listed
from .tool_call_pieces import ToolCallPieces

if TYPE_CHECKING:
    from ..surface import Surface

log = logging.getLogger(__name__)

_IDENTITY = ("id", "model", "service_tier", "system_fingerprint")
# Said of the whole completion, in any chunk.
_ASIDE = ("citations", "search_results", "error")
_TEXTS = ("refusal", "reasoning_content", "reasoning")
_SAID_OF_EVERY_TEXT = ("content", "role")
_LISTS = ("annotations", "images", "reasoning_details")


class ChatStream:
    """The completion so far."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._head: dict[str, Any] = {}
        self._missing: tuple[str, ...] = _IDENTITY
        self._usage: dict[str, Any] = {}
        self._choices: dict[int, Choice] = {}
        self._append: dict[int, Callable[[str], None]] = {}
        self._empty = True

    def add(self, event: Any) -> None:
        """Takes in one chunk."""
        try:
            (choice,) = event.choices
            delta = choice.delta
            content = delta.content
            if (
                content.__class__ is str
                # Nothing else was sent: neither refusal, calls, thoughts ...
                and (
                    (
                        # Many servers repeat the role in each chunk.
                        len(delta.__pydantic_fields_set__) == (1 if delta.role is None else 2)
                        and not delta.__pydantic_extra__
                    )
                    or _says_no_more(delta)
                )
                and choice.finish_reason is None
                and event.usage is None
            ):
                self._append[choice.index](content)
                for name in self._missing:
                    if event.__dict__.get(name):
                        self._identify(event)
                        break
                return
        except (AttributeError, KeyError, TypeError, ValueError):
            pass  # anything but the next piece of text
        self._add_any(event)

    def _identify(self, event: Any) -> None:
        """Who answers, from whichever chunk says it first: some servers open with a chunk that says nothing."""
        given = fields(event)
        self._head.update({name: given[name] for name in self._missing if given.get(name)})
        self._missing = tuple(name for name in self._missing if name not in self._head)

    def _add_any(self, event: Any) -> None:
        given = fields(event)
        self._empty = False
        if self._missing:
            self._identify(event)
        for name in _ASIDE:
            if found := given.get(name):
                self._head[name] = found
        self._take_usage(given.get("usage"))
        if (groq := given.get("x_groq")) is not None:
            self._take_usage(field(groq, "usage"))
        for choice in map(fields, listed(given, "choices")):
            try:
                self._add_choice(choice)
            except Exception:
                log.debug("could not take in a choice", exc_info=True)

    def _add_choice(self, given: dict[str, Any]) -> None:
        index = given.get("index")
        index = index if isinstance(index, int) else 0
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = Choice()
            self._append[index] = choice.content.append
        self._take_usage(given.get("usage"))
        choice.add(given)

    def _take_usage(self, reported: Any) -> None:
        # Running totals, in parts or at the end: the last one that says something about a count is right.
        for name, value in fields(reported).items() if reported is not None else ():
            if value is not None:
                self._usage[name] = value

    def attributes(self) -> Attributes:
        """What has arrived, as if it were a whole completion."""
        if self._empty:
            return {**self._surface.response(self._head), semconv.FINISH_REASONS: ["error"]}
        choices = [{"index": index, **self._choices[index].whole()} for index in sorted(self._choices)]
        return self._surface.response({**self._head, "usage": self._usage or None, "choices": choices})


def _says_no_more(delta: Any) -> bool:
    """Whether a piece of text comes with nothing that says anything: some servers send every field in each chunk."""
    said, more = delta.__dict__, delta.__pydantic_extra__
    for name in delta.__pydantic_fields_set__:
        if name not in _SAID_OF_EVERY_TEXT and said.get(name) is not None:
            return False
    return not more or all(value is None for value in more.values())


class Choice:
    """One choice as far as it has arrived."""

    def __init__(self) -> None:
        self.content: list[Any] = []
        self._texts: dict[str, list[str]] = {}
        self._lists: dict[str, list[Any]] = {}
        self._calls = ToolCallPieces()
        self._function = ToolCallPieces()
        self._audio: dict[str, Any] = {}
        self._message: dict[str, Any] | None = None
        self._legacy = False
        self._reason: Any = None
        self._error: Any = None

    def add(self, given: dict[str, Any]) -> None:
        """Takes in what one chunk says of this choice."""
        self._reason = given.get("finish_reason") or self._reason
        self._error = given.get("error") or self._error
        if isinstance(text := given.get("text"), str):
            self._legacy = True
            self.content.append(text)
        if (delta := given.get("delta")) is not None:
            self._add_delta(fields(delta))
        elif (message := given.get("message")) is not None:
            # A last chunk may repeat the whole message.
            self._message = fields(message)

    def _add_delta(self, delta: dict[str, Any]) -> None:
        content = delta.get("content")
        if isinstance(content, str):
            self.content.append(content)
        elif type(content) is list:
            self.content.extend(content)
        for name in _TEXTS:
            if isinstance(piece := delta.get(name), str):
                self._texts.setdefault(name, []).append(piece)
        for name in _LISTS:
            if type(items := delta.get(name)) is list:
                self._lists.setdefault(name, []).extend(items)
        for piece in listed(delta, "tool_calls"):
            self._calls.add(piece)
        if (function := delta.get("function_call")) is not None:
            self._function.add({"index": 0, "function": function})
        if (audio := delta.get("audio")) is not None:
            self._add_audio(fields(audio))

    def _add_audio(self, audio: dict[str, Any]) -> None:
        for name, value in audio.items():
            if name in ("data", "transcript") and isinstance(value, str):
                self._audio.setdefault(name, []).append(value)
            elif value is not None:
                self._audio[name] = value

    def whole(self) -> dict[str, Any]:
        """The choice as a whole completion has it."""
        found = {"finish_reason": self._reason, "error": self._error}
        if self._legacy:
            return {**found, "text": "".join(piece for piece in self.content if isinstance(piece, str))}
        made: dict[str, Any] = {"content": _content(self.content)}
        made |= {name: "".join(pieces) for name, pieces in self._texts.items()}
        made |= self._lists
        if self._calls:
            made["tool_calls"] = self._calls.whole()
        if self._function:
            made["function_call"] = self._function.whole()[0]["function"]
        if self._audio:
            made["audio"] = {**self._audio, **_audio_whole(self._audio)}
        if self._message is not None:
            made = {**self._message, **{name: value for name, value in made.items() if value}}
        return {**found, "message": made}


def _content(pieces: list[Any]) -> Any:
    """Pieces of text as one text; where there are parts among them, as parts, neighbours of one kind joined."""
    if all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    made: list[dict[str, Any]] = []
    for piece in filter(None, pieces):
        part = {"type": "text", "text": piece} if isinstance(piece, str) else dict(fields(piece))
        kind = part.get("type")
        last = made[-1] if made else {}
        if kind == "text" == last.get("type") and not part.get("annotations"):
            last["text"] = f"{last.get('text') or ''}{part.get('text') or ''}"
        elif kind == "thinking" == last.get("type"):
            last["thinking"] = [*_as_list(last.get("thinking")), *_as_list(part.get("thinking"))]
        else:
            made.append(part)
    return made


def _as_list(value: Any) -> list[Any]:
    return value if type(value) is list else [] if value is None else [value]


def _audio_whole(audio: dict[str, Any]) -> dict[str, str]:
    found = {name: "".join(audio[name]) for name in ("transcript",) if name in audio}
    pieces = audio.get("data")
    if pieces:
        # Each piece is encoded by itself, so the pieces' text cannot simply be joined.
        found["data"] = base64.b64encode(b"".join(map(base64.b64decode, pieces))).decode()
    return found
