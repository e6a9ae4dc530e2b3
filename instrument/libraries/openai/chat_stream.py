"""Puts the chunks of a streamed chat or legacy completion together; a few attribute reads a chunk, no more."""

from __future__ import annotations

from typing import Any

from ... import semconv
from ...tracing import Attributes
from ..parts import Message, Part, fields, message, reasoning, refused, text, tool_call
from .fields import FINISH_REASONS, identity, usage


class ChatStream:
    """Text, refusals and tool calls of each choice, from the chunks as they pass."""

    def __init__(self) -> None:
        self._text: dict[int, list[str]] = {}
        self._refusal: dict[int, list[str]] = {}
        self._thought: dict[int, list[str]] = {}
        self._calls: dict[tuple[int, int], list[Any]] = {}
        self._reasons: dict[int, str] = {}
        self._first: Any = None
        self._usage: Any = None

    def add(self, event: Any) -> None:
        """Takes in one chunk."""
        if self._first is None:
            self._first = event
        for choice in event.choices or ():
            delta = choice.delta
            if content := delta.content:
                try:
                    self._text[choice.index].append(content)
                except KeyError:
                    self._text[choice.index] = [content]
            if not content or choice.finish_reason or delta.tool_calls:
                self._add_rest(choice, delta)
        if event.usage is not None:
            self._usage = event.usage

    def _add_rest(self, choice: Any, delta: Any) -> None:
        index = choice.index
        if choice.finish_reason:
            self._reasons[index] = choice.finish_reason
        if refusal := getattr(delta, "refusal", None):
            self._refusal.setdefault(index, []).append(refusal)
        if thought := getattr(delta, "reasoning_content", None):
            self._thought.setdefault(index, []).append(thought)
        for piece in delta.tool_calls or ():
            call = self._calls.setdefault((index, piece.index), [None, "", []])
            call[0] = piece.id or call[0]
            if piece.function is not None:
                call[1] += piece.function.name or ""
                call[2].append(piece.function.arguments or "")

    def attributes(self) -> Attributes:
        """What has arrived, as if it were a whole response."""
        if self._first is None:
            return {semconv.FINISH_REASONS: ["error"]}
        found = identity(fields(self._first))
        found.update(usage(self._usage))
        indexes = sorted({*self._text, *self._refusal, *self._thought, *self._reasons, *(i for i, _ in self._calls)})
        found[semconv.FINISH_REASONS] = [self._reasons.get(index, "error") for index in indexes] or ["error"]
        found[semconv.OUTPUT_MESSAGES] = [self._message(index) for index in indexes]
        return found

    def _message(self, index: int) -> Message:
        made: list[Part] = []
        if index in self._thought:
            made.append(reasoning("".join(self._thought[index])))
        if index in self._text:
            made.append(text("".join(self._text[index])))
        if index in self._refusal:
            made.append(refused("".join(self._refusal[index])))
        for (choice, _), (id_, name, arguments) in sorted(self._calls.items(), key=lambda item: item[0]):
            if choice == index:
                made.append(tool_call(id_, name, "".join(arguments)))
        reason = self._reasons.get(index)
        return message("assistant", made, finish_reason=FINISH_REASONS.get(reason or "", reason))


class CompletionStream(ChatStream):
    """The same for legacy completions, whose chunks carry text alone."""

    def add(self, event: Any) -> None:
        """Takes in one chunk."""
        if self._first is None:
            self._first = event
        for choice in event.choices or ():
            if choice.text:
                self._text.setdefault(choice.index, []).append(choice.text)
            if choice.finish_reason:
                self._reasons[choice.index] = choice.finish_reason
        if event.usage is not None:
            self._usage = event.usage
