"""OpenAI's messages, of requests and responses of either API, as GenAI messages."""

from __future__ import annotations

from typing import Any

from ..parts import (
    Message,
    Part,
    blob,
    citations,
    each,
    field,
    fields,
    file,
    message,
    named_tool,
    other,
    reasoning,
    refused,
    text,
    tool_call,
    tool_response,
    uri,
)

_TEXT_AND_ROLE = frozenset(("content", "role"))
_PLAIN_ROLES = ("user", "assistant", "system")


def input_messages(items: list[Any]) -> list[Message]:
    """The messages of a chat request; one that cannot be read costs itself only."""
    made: list[Message] = []
    for item in items:
        if type(item) is dict and len(item) == 2:
            role, content = item.get("role"), item.get("content")
            if type(content) is str and role in _PLAIN_ROLES:
                # Most messages are no more than this, and a long conversation has many.
                made.append({"role": role, "parts": [{"type": "text", "content": content}]})
                continue
        made += each(input_message, (item,))
    return made


def input_message(item: Any) -> Message:
    """One message of a chat request; a developer's message is the system's under its newer name."""
    given = item if type(item) is dict else fields(item)
    role = given.get("role")
    content = given.get("content")
    if role in ("tool", "function"):
        answer = tool_response(given.get("tool_call_id"), _plain_text(content))
        return message("tool", [answer], name=given.get("name"))
    return message("system" if role == "developer" else role, message_parts(given), name=given.get("name"))


def plain_text(said: Any) -> list[Part] | None:
    """An answer that is one text, as most are, with two looks at it; None for any other."""
    given = getattr(said, "__dict__", None)
    if given is None or getattr(said, "__pydantic_extra__", None):
        return None
    content = given.get("content")
    if type(content) is not str or not content or any(given[name] for name in given if name not in _TEXT_AND_ROLE):
        return None
    return [{"type": "text", "content": content}]


def message_parts(given: dict[str, Any], sources: Any = None) -> list[Part]:
    """All that a chat message says, of a request or a response, from its fields; `sources` are those of its text."""
    content = given.get("content")
    if isinstance(content, str):
        made: list[Part] = [{"type": "text", "content": content}] if content else []
    else:
        made = each(content_part, content) if type(content) is list else []
    if (cited := citations(given.get("annotations")) or citations(sources)) is not None:
        _cite(made, cited)
    if thought := _thought(given):
        made.insert(0, reasoning(thought))
    if isinstance(refusal := given.get("refusal"), str) and refusal:
        made.append(refused(refusal))
    if type(calls := given.get("tool_calls")) is list:
        made.extend(each(_tool_call, calls))
    if (function := given.get("function_call")) is not None:
        made.append(tool_call(None, field(function, "name"), field(function, "arguments")))
    if (audio := given.get("audio")) is not None:
        made.append(_audio(audio))
    if type(images := given.get("images")) is list:
        made.extend(each(content_part, images))
    return made


def _thought(given: dict[str, Any]) -> str:
    """What the model thought, under the names that servers have for it; some send it under two."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(thought := given.get(name), str) and thought:
            return thought
    details = given.get("reasoning_details")
    if type(details) is not list:
        return ""
    said = [field(one, "text") or field(one, "summary") for one in details]
    return "".join(one for one in said if isinstance(one, str))


def _cite(parts: list[Part], cited: list[dict[str, Any]]) -> None:
    for part in reversed(parts):
        if part["type"] == "text":
            part["citations"] = cited
            return
    parts.append(text("", citations=cited))


def content_part(block: Any) -> Part:
    """One block of a message's content, in the spelling of chat or of responses."""
    kind = field(block, "type")
    if kind in ("text", "input_text", "output_text", "summary_text"):
        return text(field(block, "text"), citations=citations(field(block, "annotations")))
    if kind == "refusal":
        return refused(field(block, "refusal"))
    if kind in ("image_url", "input_image", "output_image"):
        image = field(block, "image_url")
        if image is None and field(block, "file_id"):
            return file("image", field(block, "file_id"))
        return uri("image", image if isinstance(image, str) else field(image, "url"))
    if kind == "input_audio":
        audio = field(block, "input_audio")
        return blob("audio", f"audio/{field(audio, 'format') or 'wav'}", field(audio, "data"))
    if kind == "output_audio":
        return _audio(block)
    if kind in ("file", "input_file"):
        return _file(field(block, "file") or block)
    if kind in ("thinking", "reasoning_text"):
        return reasoning(_plain_text(field(block, "thinking") or field(block, "text")))
    return text(block) if isinstance(block, str) else other(block)


def tool_definition(tool: Any) -> dict[str, Any]:
    """A tool's name, description and parameters, in the flat form of the conventions; the provider's own as they are."""
    function = field(tool, "function")
    if type(function) is dict:
        return {"type": "function", **{key: function[key] for key in function if key != "strict"}}
    return named_tool(tool if field(tool, "custom") is None else {**tool, **fields(field(tool, "custom"))})


def _tool_call(call: Any) -> Part:
    function = field(call, "function")
    if function is not None:
        return tool_call(field(call, "id"), field(function, "name"), field(function, "arguments"))
    custom = field(call, "custom")
    return tool_call(field(call, "id"), field(custom, "name"), field(custom, "input"))


def _audio(audio: Any) -> Part:
    data = field(audio, "data")
    part = blob("audio", None, data) if isinstance(data, str) and data else file("audio", field(audio, "id"))
    if isinstance(transcript := field(audio, "transcript"), str):
        part["transcript"] = transcript
    return part


def _file(source: Any) -> Part:
    if isinstance(data := field(source, "file_data"), str):
        part = uri("document", data) if data.startswith("data:") else blob("document", None, data)
        return {**part, "filename": field(source, "filename")} if field(source, "filename") else part
    if isinstance(address := field(source, "file_url"), str):
        return uri("document", address)
    return file("document", field(source, "file_id"))


def _plain_text(content: Any) -> Any:
    if type(content) is not list:
        return content
    return "".join(block if isinstance(block, str) else str(field(block, "text") or "") for block in content)
