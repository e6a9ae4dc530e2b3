"""Items of OpenAI's Responses API, of input and output, as GenAI messages and their parts."""

from __future__ import annotations

from typing import Any

from ..parts import (
    Message,
    Part,
    blob,
    each,
    field,
    listed,
    message,
    other,
    reasoning,
    server_tool_call,
    text,
    tool_call,
    tool_response,
)
from .messages import content_part


def messages_of(items: list[Any]) -> list[Message]:
    """Input items as messages: neighbouring items of the assistant's are one message."""
    made: list[Message] = []
    for one in each(_input_message, items):
        if "role" not in one:
            made.append(message("user", [one]))
        elif made and one["role"] == "assistant" == made[-1]["role"]:
            made[-1]["parts"].extend(one["parts"])
        else:
            made.append(one)
    return made


def parts_of(items: list[Any]) -> list[Part]:
    """Output items as the parts of one message."""
    return [part for parts in each(_parts, items) for part in (parts if type(parts) is list else [parts])]


def _input_message(item: Any) -> Message:
    if isinstance(item, str):
        return message("user", [text(item)])
    kind = field(item, "type")
    if kind in (None, "message"):
        role = field(item, "role")
        return message("system" if role == "developer" else role, _content(item))
    if isinstance(kind, str) and kind.endswith("_output"):
        return message("tool", [tool_response(field(item, "call_id"), field(item, "output"))])
    return message("assistant", _parts(item))


def _content(item: Any) -> list[Part]:
    content = field(item, "content")
    return [text(content)] if isinstance(content, str) else each(content_part, listed(item, "content"))


def _parts(item: Any) -> list[Part]:
    kind = field(item, "type")
    if kind == "message":
        return _content(item)
    if kind == "function_call":
        return [tool_call(field(item, "call_id"), field(item, "name"), field(item, "arguments"))]
    if kind == "custom_tool_call":
        return [tool_call(field(item, "call_id"), field(item, "name"), field(item, "input"))]
    if kind == "reasoning":
        thoughts = [field(block, "text") or "" for block in [*listed(item, "summary"), *listed(item, "content")]]
        return [reasoning("\n".join(thoughts))]
    if isinstance(kind, str) and kind.endswith("_call"):
        plain = {key: value for key, value in other(item).items() if key not in ("type", "id", "result")}
        made = [server_tool_call(kind, field(item, "id"), field(item, "name"), plain)]
        if kind == "image_generation_call" and isinstance(image := field(item, "result"), str) and image:
            made.append(blob("image", f"image/{field(item, 'output_format') or 'png'}", image))
        return made
    return [other(item)]
