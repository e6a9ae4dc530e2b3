"""Anthropic's content blocks, of requests and responses, as the parts of GenAI messages."""

from __future__ import annotations

from typing import Any

from ..parts import (
    Message,
    Part,
    blob,
    citations,
    each,
    field,
    file,
    listed,
    message,
    named_tool,
    other,
    reasoning,
    server_tool_call,
    server_tool_response,
    text,
    tool_call,
    tool_response,
    uri,
)

_MODALITIES = {"image": "image", "document": "document", "container_upload": "document"}


def system_parts(system: Any) -> list[Part]:
    """The system prompt, given as text or as blocks of text."""
    if isinstance(system, str):
        return [text(system)]
    return [text(field(block, "text")) for block in system] if type(system) is list else []


def input_message(item: Any) -> Message:
    """One message of a request; one that only answers tools is the tool's."""
    content = field(item, "content")
    if type(content) is str:
        return message(field(item, "role"), [text(content)])
    parts = content_parts(listed(item, "content"))
    only_answers = bool(parts) and all(part["type"] == "tool_call_response" for part in parts)
    return message("tool" if only_answers else field(item, "role"), parts)


def content_parts(blocks: list[Any]) -> list[Part]:
    """Content blocks as parts; a document of several blocks gives several."""
    return [part for made in each(_part, blocks) for part in (made if type(made) is list else [made])]


def tool_definition(tool: Any) -> dict[str, Any]:
    """A tool of the user's by name, description and parameters; a tool of the provider's as it is."""
    if type(tool) is not dict or "input_schema" not in tool:
        return named_tool(tool)
    made = {"type": "function", "name": tool.get("name", "")}
    if tool.get("description") is not None:
        made["description"] = tool["description"]
    return {**made, "parameters": tool["input_schema"]}


def _part(block: Any) -> Part | list[Part]:
    kind = field(block, "type")
    if kind == "text":
        return text(field(block, "text"), citations=citations(field(block, "citations")))
    if kind == "tool_use":
        return tool_call(field(block, "id"), field(block, "name"), field(block, "input"))
    if kind == "tool_result":
        return tool_response(field(block, "tool_use_id"), _answer(block), is_error=field(block, "is_error") or None)
    if kind == "thinking":
        return reasoning(field(block, "thinking"))
    if kind == "redacted_thinking":
        return reasoning("")
    if kind in _MODALITIES:
        return _media(_MODALITIES[kind], block)
    if kind == "search_result":
        return _described(content_parts(listed(block, "content")), block, source=field(block, "source"))
    if kind in ("server_tool_use", "mcp_tool_use"):
        details = {"arguments": field(block, "input")}
        return server_tool_call(str(field(block, "name") or kind), field(block, "id"), field(block, "name"), details)
    if isinstance(kind, str) and kind.endswith("_tool_result"):
        content = other(block).get("content")
        return server_tool_response(kind, field(block, "tool_use_id"), {"content": content})
    return text(block) if isinstance(block, str) else other(block)


def _answer(block: Any) -> Any:
    content = field(block, "content")
    if type(content) is not list:
        return content
    parts = content_parts(content)
    if all(part["type"] == "text" for part in parts):
        return "".join(part["content"] for part in parts)
    return parts


def _media(modality: str, block: Any) -> Part | list[Part]:
    source = field(block, "source")
    kind = field(source, "type")
    if kind == "base64":
        return _described([blob(modality, field(source, "media_type"), field(source, "data"))], block)
    if kind == "url":
        return _described([uri(modality, field(source, "url"))], block)
    if kind == "text":
        return _described([text(field(source, "data"))], block)
    if kind == "content":
        content = field(source, "content")
        return _described(
            [text(content)] if isinstance(content, str) else content_parts(listed(source, "content")), block
        )
    return _described([file(modality, field(source, "file_id") or field(block, "file_id"))], block)


def _described(parts: list[Part], block: Any, **more: Any) -> list[Part]:
    """The parts of a document with its title and what the app says about it; its texts as one."""
    said = {name: value for name in ("title", "context") if isinstance(value := field(block, name), str)}
    said |= {name: value for name, value in more.items() if isinstance(value, str)}
    if len(parts) > 1 and all(part["type"] == "text" for part in parts):
        parts = [text("\n".join(part["content"] for part in parts))]
    return [{**part, **said} for part in parts]
