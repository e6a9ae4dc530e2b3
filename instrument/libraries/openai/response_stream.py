"""Puts the events of a streamed response together; the event that ends it carries the whole response, mostly."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ... import semconv
from ...tracing import Attributes
from ..parts import field, fields, listed

if TYPE_CHECKING:
    from ..surface import Surface

# The status of a response whose stream ended before it did.
CUT = "cut"
_ENDS = frozenset(
    ("response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done")
)
# Deltas by what they belong to: a part of an item's content, of its summary, or a field of the item itself.
_CONTENT = {
    "response.output_text.delta": ("output_text", "text"),
    "response.refusal.delta": ("refusal", "refusal"),
    "response.reasoning_text.delta": ("reasoning_text", "text"),
    "response.audio.transcript.delta": ("output_audio", "transcript"),
    "response.output_audio_transcript.delta": ("output_audio", "transcript"),
}
_SUMMARY = frozenset(("response.reasoning_summary_text.delta", "response.reasoning_summary.delta"))
_FIELDS = {
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
    "response.mcp_call_arguments.delta": "arguments",
    "response.mcp_call.arguments_delta": "arguments",
    "response.code_interpreter_call_code.delta": "code",
}
_ANNOTATION = frozenset(("response.output_text.annotation.added", "response.output_text_annotation.added"))


class ResponsesStream:
    """The response so far: deltas of items, replaced by whole items and by the whole response where they come."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._response: dict[str, Any] = {}
        self._items: dict[int, Item] = {}
        self._append: dict[tuple[int, int], Callable[[str], None]] = {}
        self._error: Any = None
        self._ended = False

    def add(self, event: Any) -> None:
        """Takes in one event."""
        kind = event.type
        if kind == "response.output_text.delta":
            try:
                self._append[event.output_index, event.content_index](event.delta)
                return
            except (AttributeError, KeyError, TypeError):
                pass  # the first piece of its part, or one that lacks something
        given = fields(event)
        if kind in _CONTENT:
            self._add_content(*_CONTENT[kind], given)
        elif kind in _FIELDS or kind in _SUMMARY or kind in _ANNOTATION:
            self._add_piece(kind, given)
        elif kind == "response.output_item.added":
            self._item(given).begin(given.get("item"))
        elif kind == "response.output_item.done":
            self._item(given).done = given.get("item")
        elif kind == "error":
            self._error = {"code": given.get("code") or "error", "message": given.get("message")}
            if (inner := given.get("error")) is not None:
                self._error = inner
        elif (response := given.get("response")) is not None:
            # Identity, from whichever event has it; the last one knows most.
            self._response.update({name: value for name, value in fields(response).items() if value is not None})
            self._ended = self._ended or kind in _ENDS

    def _item(self, given: dict[str, Any]) -> Item:
        place = given.get("output_index")
        if not isinstance(place, int):
            known = [index for index, item in self._items.items() if item.id == given.get("item_id")]
            place = known[0] if known else max(self._items, default=0)
        item = self._items.get(place)
        if item is None:
            item = self._items[place] = Item(given.get("item_id"))
        return item

    def _add_content(self, kind: str, name: str, given: dict[str, Any]) -> None:
        place = given.get("content_index")
        place = place if isinstance(place, int) else 0
        pieces = self._item(given).content_piece(place, kind, name)
        if isinstance(piece := given.get("delta"), str):
            pieces.append(piece)
        if kind == "output_text" and isinstance(item := given.get("output_index"), int):
            self._append[item, place] = pieces.append

    def _add_piece(self, kind: str, given: dict[str, Any]) -> None:
        item = self._item(given)
        if kind in _ANNOTATION:
            place = given.get("content_index")
            item.annotations.setdefault(place if isinstance(place, int) else 0, []).append(given.get("annotation"))
            return
        piece = given.get("delta")
        if not isinstance(piece, str):
            return
        if kind in _SUMMARY:
            place = given.get("summary_index")
            item.summary.setdefault(place if isinstance(place, int) else 0, []).append(piece)
        else:
            item.fields.setdefault(_FIELDS[kind], []).append(piece)

    def attributes(self) -> Attributes:
        """What has arrived, as if it were a whole response."""
        given = dict(self._response)
        if not given and not self._items and self._error is None:
            return {semconv.FINISH_REASONS: ["error"]}
        if not listed(given, "output"):
            # An event that ends a failed run may have an empty list, although much was said before.
            given["output"] = [self._items[place].whole() for place in sorted(self._items)]
        if self._error is not None:
            given.update(status="failed", error=self._error)
        elif not self._ended:
            given["status"] = CUT
        return self._surface.response(given)


class Item:
    """One output item as far as it has arrived."""

    def __init__(self, id_: Any) -> None:
        self.id = id_
        self.done: Any = None
        self.annotations: dict[int, list[Any]] = {}
        self.summary: dict[int, list[str]] = {}
        self.fields: dict[str, list[str]] = {}
        self._begun: Any = None
        self._content: dict[int, tuple[str, str, list[str]]] = {}

    def begin(self, item: Any) -> None:
        """Takes in the item as it was announced: mostly its kind, its id and its name."""
        self._begun = item
        self.id = field(item, "id") or self.id

    def content_piece(self, place: int, kind: str, name: str) -> list[str]:
        """Where the pieces of one part of the content go."""
        return self._content.setdefault(place, (kind, name, []))[2]

    def whole(self) -> Any:
        """The item as a whole response has it."""
        if self.done is not None:
            return self.done
        if self._begun is not None and not (self._content or self.summary or self.fields):
            return self._begun
        made = dict(fields(self._begun)) if self._begun is not None else {}
        made.setdefault("type", "reasoning" if self.summary else "message")
        made.setdefault("id", self.id)
        if self._content:
            made["content"] = [self._part(place) for place in sorted(self._content)]
        if self.summary:
            made["summary"] = [
                {"type": "summary_text", "text": "".join(self.summary[place])} for place in sorted(self.summary)
            ]
        made.update({name: "".join(pieces) for name, pieces in self.fields.items()})
        return made

    def _part(self, place: int) -> dict[str, Any]:
        kind, name, pieces = self._content[place]
        part: dict[str, Any] = {"type": kind, name: "".join(pieces)}
        if place in self.annotations:
            part["annotations"] = self.annotations[place]
        return part
