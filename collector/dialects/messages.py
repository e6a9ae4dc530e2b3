"""Turns the message shapes of OpenAI, Anthropic and their instrumentors into the conventions' messages."""

from __future__ import annotations

from typing import Any

from .attributes import as_json, parsed

Message = dict[str, Any]


def messages(value: Any, *, role: str = "user") -> list[Message]:
    """Messages from whatever a dialect holds: a text, a message, a list of either, Responses items, content blocks."""
    value = parsed(value)
    if value is None or value in ("", []):
        return []
    if isinstance(value, list):
        if value and all(_is_block(item) for item in value):
            return [_message(role, [_part(item) for item in value])]
        return [message for item in value for message in messages(item, role=role)]
    if isinstance(value, dict):
        return _from_mapping(value, role)
    return [_message(role, [_text(value)])]


def request_messages(body: dict[str, Any]) -> list[Message]:
    """The input messages of a request body of the OpenAI or Anthropic API, system text first."""
    system = body.get("system") or body.get("instructions")
    first = messages(system, role="system") if system else []
    for key in ("messages", "input", "prompt", "contents"):
        if body.get(key) is not None:
            return [*first, *messages(body[key])]
    return first


def response_messages(body: dict[str, Any]) -> list[Message]:
    """The output messages of a response body: chat choices, Responses output, or Anthropic content blocks."""
    if isinstance(body.get("choices"), list):
        found: list[Message] = []
        for choice in body["choices"]:
            if isinstance(choice, dict):
                said = messages(choice.get("message") or choice.get("text"), role="assistant")
                found.extend({**message, **_finish(choice.get("finish_reason"))} for message in said)
        return found
    for key in ("output", "content"):
        if body.get(key) is not None:
            found = messages(body[key], role="assistant")
            return [{**message, **_finish(body.get("stop_reason"))} for message in found]
    return []


def _finish(reason: Any) -> dict[str, Any]:
    return {"finish_reason": reason} if reason else {}


def _message(role: str, parts: list[dict[str, Any]]) -> Message:
    return {"role": role, "parts": parts}


def _text(value: Any) -> dict[str, Any]:
    return {"type": "text", "content": as_json(value)}


def _is_block(item: Any) -> bool:
    """Whether a list item is a piece of one message rather than a message of its own."""
    if not isinstance(item, dict) or "role" in item:
        return False
    return item.get("type") in _BLOCKS or (
        "type" not in item and not _UNTYPED.isdisjoint(item) and "content" not in item
    )


def _from_mapping(value: dict[str, Any], role: str) -> list[Message]:
    kind = value.get("type")
    if isinstance(value.get("parts"), list):
        said = str(value.get("role") or role)
        parts = [one if isinstance(one, dict) and "type" in one else _part(one) for one in value["parts"]]
        return [{**value, "role": _SAME_ROLE.get(said, said), "parts": parts}]
    if kind == "function_call" or (kind == "custom_tool_call"):
        return [_message("assistant", [_tool_call(value.get("call_id"), value.get("name"), value.get("arguments"))])]
    if kind in ("function_call_output", "custom_tool_call_output"):
        response = {"type": "tool_call_response", "id": value.get("call_id"), "response": value.get("output")}
        return [_message("tool", [response])]
    if kind == "reasoning":
        return [_message("assistant", [_part(value)])]
    if _is_block(value):
        return [_message(role, [_part(value)])]
    said = str(value.get("role") or role)
    said = _SAME_ROLE.get(said, said)
    parts = _content(value.get("content"))
    if said == "tool" and any(part["type"] == "tool_call_response" for part in parts):
        return [_message("tool", parts)]
    if said == "tool":
        response = {"type": "tool_call_response", "id": value.get("tool_call_id"), "response": value.get("content")}
        return [_message("tool", [response])]
    for call in value.get("tool_calls") or ():
        if isinstance(call, dict):
            function = call.get("function") or call
            parts.append(_tool_call(call.get("id"), function.get("name"), function.get("arguments")))
    old = value.get("function_call")
    if isinstance(old, dict):
        parts.append(_tool_call(None, old.get("name"), old.get("arguments")))
    if not parts and "role" not in value:
        parts = [_text(value)] if not value.get("content") else parts
    return [{**_message(said, parts), **_finish(value.get("finish_reason"))}]


def _content(content: Any) -> list[dict[str, Any]]:
    if content in (None, "", []):
        return []
    if isinstance(content, str) and content.startswith("[{"):
        blocks = parsed(content)  # that were written as text
        if isinstance(blocks, list) and all(_is_block(one) for one in blocks):
            content = blocks
    if isinstance(content, list):
        return [_part(item) for item in content]
    return [_text(content)]


def _tool_call(call_id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    call = {"type": "tool_call", "id": call_id, "name": name, "arguments": parsed(arguments)}
    return {key: value for key, value in call.items() if value is not None}


def _part(block: Any) -> dict[str, Any]:
    if not isinstance(block, dict):
        return _text(block)
    if "type" not in block and (untyped := _untyped(block)) is not None:
        return untyped
    kind = str(block.get("type") or "text").replace("-", "_")
    if kind in ("text", "input_text", "output_text", "refusal"):
        return _text(block.get("text") or block.get("content") or block.get("refusal") or "")
    if kind == "tool_call" and "toolName" in block:
        return _tool_call(block.get("toolCallId"), block["toolName"], block.get("input", block.get("args")))
    if kind == "tool_result" and "toolName" in block:
        result = block.get("output", block.get("result"))
        if isinstance(result, dict) and "value" in result:
            result = result["value"]
        return {"type": "tool_call_response", "id": block.get("toolCallId"), "response": result}
    if kind in ("tool_use", "server_tool_use"):
        return _tool_call(block.get("id"), block.get("name"), block.get("input"))
    if kind in ("tool_result", "web_search_tool_result"):
        return {"type": "tool_call_response", "id": block.get("tool_use_id"), "response": block.get("content")}
    if kind in ("thinking", "reasoning"):
        summary = block.get("summary")
        texts = (
            [item.get("text", "") for item in summary if isinstance(item, dict)] if isinstance(summary, list) else []
        )
        thought = block.get("thinking") or block.get("content") or block.get("text") or "\n".join(texts)
        return {"type": "reasoning", "content": thought}
    if kind in ("image_url", "input_image", "image"):
        return _image(block)
    return block


def _untyped(block: dict[str, Any]) -> dict[str, Any] | None:
    """A block of Bedrock's Converse API or of Gemini, which say by their key what they are; None for another shape."""
    call = block.get("toolUse")
    if isinstance(call, dict):
        return _tool_call(call.get("toolUseId"), call.get("name"), call.get("input"))
    result = block.get("toolResult")
    if isinstance(result, dict):
        inner = result.get("content")
        texts = [one.get("text", one.get("json")) for one in inner if isinstance(one, dict)] if isinstance(inner, list) else [inner]  # fmt: skip
        response = texts[0] if len(texts) == 1 else texts
        return {"type": "tool_call_response", "id": result.get("toolUseId"), "response": response}
    thought = block.get("reasoningContent")
    if isinstance(thought, dict):
        said = thought.get("reasoningText")
        return {"type": "reasoning", "content": said.get("text", "") if isinstance(said, dict) else as_json(thought)}
    call = block.get("function_call") or block.get("functionCall")
    if isinstance(call, dict):
        return _tool_call(call.get("id"), call.get("name"), call.get("args"))
    result = block.get("function_response") or block.get("functionResponse")
    if isinstance(result, dict):
        return {"type": "tool_call_response", "id": result.get("id") or result.get("name"), "response": result.get("response")}  # fmt: skip
    return _text(block["text"]) if isinstance(block.get("text"), str) else None


def _image(block: dict[str, Any]) -> dict[str, Any]:
    source = block.get("image_url") or block.get("source") or block.get("image") or {}
    uri = source if isinstance(source, str) else source.get("url")
    if isinstance(uri, str):
        return {"type": "uri", "modality": "image", "uri": uri}
    return {"type": "blob", "modality": "image", "mime_type": source.get("media_type"), "content": source.get("data")}


_SAME_ROLE = {"model": "assistant", "ai": "assistant", "human": "user"}
_UNTYPED = frozenset(
    {
        "text",
        "toolUse",
        "toolResult",
        "reasoningContent",
        "function_call",
        "functionCall",
        "function_response",
        "functionResponse",
    }
)
_BLOCKS = frozenset(
    {
        "tool-call",
        "tool-result",
        "text",
        "input_text",
        "output_text",
        "refusal",
        "tool_use",
        "server_tool_use",
        "tool_result",
        "web_search_tool_result",
        "thinking",
        "image_url",
        "input_image",
        "image",
        "document",
        "input_file",
    }
)
