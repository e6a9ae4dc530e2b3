"""Puts the events of a streamed Anthropic message together; a dictionary look-up and an append per chunk, no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ... import semconv
from ...tracing import Attributes
from ..parts import field, fields, listed, parsed

if TYPE_CHECKING:
    from ..surface import Surface

# Deltas that are pieces of text, each with the field that has the piece.
_PIECES = {
    "text_delta": "text",
    "input_json_delta": "partial_json",
    "thinking_delta": "thinking",
}
_TOOLS = ("tool_use", "server_tool_use", "mcp_tool_use")


class MessageStream:
    """Blocks and usage from the events as they pass; cut short, it still says what arrived."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._head: dict[str, Any] = {}
        self._blocks: dict[int, Block] = {}
        self._append: dict[int, Callable[[str], None]] = {}
        self._usage: dict[str, Any] = {}
        self._empty = True

    def add(self, event: Any) -> None:
        """Takes in one event."""
        kind = event.type
        if kind == "content_block_delta":
            delta = event.delta
            name = _PIECES.get(delta.type)
            if name is not None:
                try:
                    self._append[event.index](getattr(delta, name))
                except (AttributeError, KeyError):
                    # Of a block whose start did not come, or a piece that lacks something.
                    self._block(event, None).add(delta, name)
            else:
                self._block(event, None).add_other(delta)
        elif kind == "content_block_start":
            self._block(event, field(event, "content_block"))
        elif kind == "message_delta":
            self._take(fields(field(event, "delta")))
            self._take_usage(field(event, "usage"))
        elif kind == "message_start":
            message = fields(field(event, "message"))
            self._take(message)
            self._take_usage(message.get("usage"))
            # Some servers send what the model has said so far along.
            for place, block in enumerate(listed(message, "content")):
                self._blocks.setdefault(place, Block(block))

    def _take(self, given: dict[str, Any]) -> None:
        self._empty = False
        for name in ("id", "model", "stop_reason"):
            if value := given.get(name):
                self._head[name] = value

    def _take_usage(self, reported: Any) -> None:
        # Each event has running totals: the last one that says something about a count is right.
        self._usage.update({name: value for name, value in fields(reported).items() if value is not None})

    def _block(self, event: Any, begun: Any) -> Block:
        self._empty = False
        place = field(event, "index")
        place = place if isinstance(place, int) else max(self._blocks, default=0)
        block = self._blocks.get(place)
        if block is None or begun is not None:
            block = self._blocks[place] = Block(begun)
            self._append[place] = block.pieces.append
        return block

    def attributes(self) -> Attributes:
        """What has arrived, as if it were a whole message."""
        if self._empty:
            return {semconv.FINISH_REASONS: ["error"]}
        content = [self._blocks[index].whole() for index in sorted(self._blocks)]
        return self._surface.response({**self._head, "usage": self._usage, "content": content})


class Block:
    """One content block as far as it has arrived."""

    __slots__ = ("_begun", "_citations", "_kind", "pieces")

    def __init__(self, begun: Any) -> None:
        self._begun = begun
        self._kind = field(begun, "type") if begun is not None else None
        # Copied now: the SDK's stream helpers go on to change the block they were given.
        self._citations: list[Any] = list(listed(begun, "citations"))
        text = field(begun, "text") or field(begun, "thinking") or ""
        self.pieces: list[str] = [text] if isinstance(text, str) and text else []

    def add(self, delta: Any, name: str) -> None:
        """Takes in a piece of text."""
        if isinstance(piece := field(delta, name), str):
            self.pieces.append(piece)
        if self._kind is None:
            self._kind = {"text": "text", "thinking": "thinking"}.get(name, "tool_use")

    def add_other(self, delta: Any) -> None:
        """Takes in what is no text."""
        if field(delta, "type") == "citations_delta" and (citation := field(delta, "citation")) is not None:
            self._citations.append(citation)

    def whole(self) -> Any:
        """The block as a whole message has it."""
        pieces = "".join(self.pieces)
        if self._kind == "text":
            return {"type": "text", "text": pieces, "citations": self._citations}
        if self._kind == "thinking":
            return {"type": "thinking", "thinking": pieces}
        if self._kind in _TOOLS and (pieces or self._begun is None):
            begun = fields(self._begun)
            return {**begun, "type": self._kind, "input": parsed(pieces)}
        return self._begun
