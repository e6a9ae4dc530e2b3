"""Lists of messages as frameworks write their own objects out, in their agents' inputs and outputs, as plain messages."""

from __future__ import annotations

from typing import Any

_CLASSES = {
    "HumanMessage": "user",
    "AIMessage": "assistant",
    "AIMessageChunk": "assistant",
    "SystemMessage": "system",
    "ToolMessage": "tool",
}
_TYPES = {"human": "user", "ai": "assistant", "chat": "user", "system": "system", "tool": "tool", **_CLASSES}
_ROLES = ("user", "assistant", "system", "tool", "developer", *_TYPES)


def framework_messages(value: Any) -> list[dict[str, Any]]:
    """
    The messages of a list, or of a mapping's `messages`, where one at least is an object of LangChain, Haystack,
    LlamaIndex or AutoGen: each with `role`, `content` (text, or typed blocks) and `tool_calls`. [] for anything else,
    and where one is no message: half of a conversation would be wrong.
    """
    if isinstance(value, dict):
        value = value.get("messages")
    if isinstance(value, list) and value and isinstance(value[0], list) and not _is_pair(value[0]):
        value = value[0]  # the first batch
    if not isinstance(value, list):
        return []
    flat = [_flat(one) for one in value]
    found = [known or one for one, known in zip(value, flat, strict=True)]
    return found if any(flat) and all(isinstance(one, dict) and "role" in one for one in found) else []


def _flat(one: Any) -> dict[str, Any] | None:
    """A framework's message as role, content and tool calls; None for what no framework writes."""
    if isinstance(one, list | tuple):
        return {"role": _TYPES.get(one[0], one[0]), "content": one[1]} if _is_pair(one) else None
    if not isinstance(one, dict):
        return None
    if isinstance(one.get("kwargs"), dict):
        return _langchain(one)
    if isinstance(one.get("content"), str | list) and "role" not in one and one.get("type") in _TYPES:
        return _langchain({"kwargs": one})
    if isinstance(one.get("_role"), str) and isinstance(one.get("_content"), list):
        return _haystack(one["_role"], one["_content"])
    if isinstance(one.get("role"), str) and isinstance(one.get("content"), list) and _is_haystack(one["content"]):
        return _haystack(one["role"], one["content"])
    if isinstance(one.get("role"), str) and isinstance(one.get("blocks"), list):
        return _llama_index(one)
    if isinstance(one.get("source"), str) and isinstance(one.get("content"), str):
        return {"role": "user" if one["source"] == "user" else "assistant", "content": one["content"]}
    return None


def _is_pair(one: Any) -> bool:
    """Whether it is LangChain's short form of a message, `("human", "Hello")`."""
    return len(one) == 2 and all(isinstance(text, str) for text in one) and one[0] in _ROLES


def _langchain(one: dict[str, Any]) -> dict[str, Any]:
    """`{"id": [..., "HumanMessage"], "kwargs": {...}}`, which its serialiser writes."""
    held = one["kwargs"]
    of_class = one["id"][-1] if isinstance(one.get("id"), list) and one["id"] else ""
    kind = str(held.get("type") or "")
    calls = [
        {"id": call.get("id"), "name": call.get("name"), "arguments": call.get("args")}
        for call in held.get("tool_calls") or ()
        if isinstance(call, dict)
    ]
    return {
        "role": _CLASSES.get(str(of_class)) or _TYPES.get(kind) or kind or "user",
        "content": held.get("content"),
        "tool_call_id": held.get("tool_call_id"),
        "tool_calls": calls,
    }


def _haystack(role: str, pieces: list[Any]) -> dict[str, Any]:
    """Pieces that say by their keys what they are, with or without a name around them."""
    blocks: list[dict[str, Any]] = []
    for piece in pieces:
        if not isinstance(piece, dict):
            continue
        call = piece.get("tool_call", piece)
        result = piece.get("tool_call_result", piece)
        if isinstance(piece.get("text"), str):
            blocks.append({"type": "text", "text": piece["text"]})
        elif isinstance(call, dict) and "tool_name" in call:
            blocks.append(
                {"type": "tool_use", "id": call.get("id"), "name": call["tool_name"], "input": call.get("arguments")}
            )
        elif isinstance(result, dict) and "result" in result:
            origin = result.get("origin")
            call_id = origin.get("id") if isinstance(origin, dict) else None
            blocks.append({"type": "tool_result", "tool_use_id": call_id, "content": result["result"]})
    return {"role": role, "content": blocks}


def _is_haystack(pieces: list[Any]) -> bool:
    return any(isinstance(one, dict) and ("tool_call" in one or "tool_call_result" in one) for one in pieces)


def _llama_index(one: dict[str, Any]) -> dict[str, Any]:
    blocks = [block for block in one["blocks"] if isinstance(block, dict)]
    more = one.get("additional_kwargs")
    more = more if isinstance(more, dict) else {}
    texts = [{"type": "text", "text": block["text"]} for block in blocks if isinstance(block.get("text"), str)]
    calls = [
        {"id": block.get("tool_call_id"), "name": block.get("tool_name"), "arguments": block.get("tool_kwargs")}
        for block in blocks
        if block.get("block_type") == "tool_call"
    ]
    role = str(one["role"])
    content: Any = "\n".join(text["text"] for text in texts) if role == "tool" else texts
    return {"role": role, "content": content, "tool_call_id": more.get("tool_call_id"), "tool_calls": calls}
