"""Puts the events of a streamed Anthropic message together; a dictionary look-up and an append a chunk, no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import semconv
from ...tracing import Attributes
from ..parts import field, parsed

if TYPE_CHECKING:
    from .calls import Messages

# Deltas that are pieces of text, each with the field that has the piece.
_PIECES = {
    "text_delta": "text",
    "input_json_delta": "partial_json",
    "thinking_delta": "thinking",
}


class MessageStream:
    """Blocks and usage from the events as they pass; cut short, it still says what arrived."""

    def __init__(self, surface: Messages) -> None:
        self._surface = surface
        self._message: Any = None
        self._blocks: dict[int, Any] = {}
        self._pieces: dict[int, list[str]] = {}
        self._usage: dict[str, Any] = {}
        self._reason: Any = None

    def add(self, event: Any) -> None:
        """Takes in one event."""
        kind = event.type
        if kind == "content_block_delta":
            delta = event.delta
            name = _PIECES.get(delta.type)
            if name is not None:
                self._pieces[event.index].append(getattr(delta, name))
        elif kind == "content_block_start":
            # Its text is copied now: the SDK's stream helpers go on to change the block they were given.
            block = self._blocks[event.index] = event.content_block
            self._pieces[event.index] = [getattr(block, "text", None) or getattr(block, "thinking", None) or ""]
        elif kind == "message_delta":
            self._reason = event.delta.stop_reason or self._reason
            self._take_usage(event.usage)
        elif kind == "message_start":
            self._message = event.message
            self._take_usage(event.message.usage)

    def attributes(self) -> Attributes:
        """What has arrived, as if it were a whole message."""
        if self._message is None:
            return {semconv.FINISH_REASONS: ["error"]}
        return self._surface.response(
            {
                "id": field(self._message, "id"),
                "model": field(self._message, "model"),
                "usage": self._usage,
                "stop_reason": self._reason,
                "content": [self._block(index) for index in sorted(self._blocks)],
            }
        )

    def _take_usage(self, reported: Any) -> None:
        # Each event has running totals: the last one that says something about a count is right.
        for name in (
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "output_tokens_details",
        ):
            if (value := field(reported, name)) is not None:
                self._usage[name] = value

    def _block(self, index: int) -> Any:
        block = self._blocks[index]
        pieces = "".join(self._pieces[index])
        kind = field(block, "type")
        if kind == "text":
            return {"type": "text", "text": pieces}
        if kind == "thinking":
            return {"type": "thinking", "thinking": pieces}
        if pieces and kind in ("tool_use", "server_tool_use", "mcp_tool_use"):
            return {"type": kind, "id": field(block, "id"), "name": field(block, "name"), "input": parsed(pieces)}
        return block
