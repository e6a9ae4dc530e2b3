"""Puts the pieces of streamed tool calls together, also where servers share, leave out or repeat what tells them apart."""

from __future__ import annotations

from typing import Any

import msgspec

from ..parts import field, parsed

_encode = msgspec.json.Encoder(enc_hook=repr).encode


class ToolCall:
    """One call as far as it has arrived."""

    __slots__ = ("arguments", "custom", "id", "index", "name")

    def __init__(self, index: Any, id_: Any) -> None:
        self.index = index
        self.id = id_
        self.name = ""
        self.arguments: list[str] = []
        self.custom = False

    def whole(self) -> dict[str, Any]:
        """The call as a whole response has it."""
        arguments = "".join(self.arguments)
        if self.custom:
            return {"id": self.id, "type": "custom", "custom": {"name": self.name, "input": arguments}}
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": arguments}}


class ToolCallPieces:
    """The calls of one choice, in the order in which they began.

    The API numbers calls by index and names each once. Servers that speak it give all calls index 0 or none, repeat
    id and name in every piece, or send a call whole: a new id is a new call, a name is set and not added to.
    """

    def __init__(self) -> None:
        self._calls: list[ToolCall] = []

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, piece: Any) -> None:
        """Takes in one piece."""
        function = field(piece, "function")
        custom = field(piece, "custom") if function is None else None
        body = function if custom is None else custom
        name = field(body, "name")
        arguments = _as_text(field(body, "arguments") if custom is None else field(body, "input"))
        call = self._call(field(piece, "index"), field(piece, "id") or None, name, arguments)
        if custom is not None:
            call.custom = True
        if isinstance(name, str) and name:
            # Before any argument, a piece without an id that goes on with the name is the rest of it.
            goes_on = call.name and name != call.name and not call.arguments and not field(piece, "id")
            call.name = call.name + name if goes_on else name
        if arguments:
            call.arguments.append(arguments)

    def whole(self) -> list[dict[str, Any]]:
        """Every call as a whole response has it, by index where there is one."""
        return [call.whole() for call in self._calls]

    def _call(self, index: Any, id_: Any, name: Any, arguments: str) -> ToolCall:
        """The call that a piece belongs to."""
        index = index if isinstance(index, int) else None
        if id_ is not None:
            known = self._with_id(index, id_)
        elif index is not None:
            known = next((call for call in reversed(self._calls) if call.index == index), None)
        else:
            known = self._calls[-1] if self._calls else None
        if known is not None and id_ is None and _begins_anew(known, name, arguments):
            known = None
        if known is None:
            known = ToolCall(index, id_)
            self._calls.append(known)
        return known

    def _with_id(self, index: int | None, id_: Any) -> ToolCall | None:
        for call in reversed(self._calls):
            if call.id == id_ and (index is None or call.index is None or index == call.index):
                return call
        # A call that began before its id was sent.
        nameless = (call for call in self._calls if call.id is None and index is not None and call.index == index)
        found = next(nameless, None)
        if found is not None:
            found.id = id_
        return found


def _begins_anew(call: ToolCall, name: Any, arguments: str) -> bool:
    """Whether a piece without an id is the beginning of a new call that only shares the index."""
    if not isinstance(name, str) or not name or not call.name:
        return False
    if not call.arguments:
        # A name in pieces, or the same name once more; a whole call of another name brings its arguments along.
        return name != call.name and bool(arguments)
    return name != call.name or (bool(arguments) and isinstance(parsed("".join(call.arguments)), dict))


def _as_text(arguments: Any) -> str:
    """Arguments as JSON text; some servers send them as an object."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else _encode(arguments).decode()
