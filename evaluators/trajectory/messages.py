"""Reads GenAI messages, in the conventions' shape (`parts`) and in the providers' own, into texts, tool calls and results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

Message = Mapping[str, Any]
SYSTEM_ROLES = ("system", "developer")
_QUESTION_KEYS = ("question", "query", "input", "prompt", "message", "text", "content", "user_input", "task")
_ANSWER_KEYS = ("output", "answer", "result", "response", "content", "text", "message", "final_output")


class Requested(msgspec.Struct, frozen=True):
    """A tool call as a model wrote it."""

    id: str
    name: str
    arguments: Any
    """Data; the text itself when it is not JSON, which `malformed` says."""
    malformed: bool = False


def decode(raw: Any) -> Any:
    """What a JSON text holds; any other text, and what is no text, stays itself."""
    if not isinstance(raw, str | bytes):
        return raw
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return raw.decode(errors="replace") if isinstance(raw, bytes) else raw


def messages_in(raw: Any) -> list[Message]:
    """The messages in a stored input or output; [] when it holds something else, such as a function's arguments."""
    value = decode(raw)
    if isinstance(value, Mapping) and isinstance(value.get("messages"), list):
        value = value["messages"]
    if isinstance(value, Mapping) and _is_message(value):
        value = [value]
    if not isinstance(value, list) or not value or not all(_is_message(one) for one in value):
        return []
    return value


def text_of(message: Message) -> str:
    """The text parts of one message; reasoning, tool calls and media are left out."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    texts = []
    for part in parts_of(message):
        if part.get("type", "text") in ("text", "output_text", "input_text", "refusal"):
            text = part.get("content", part.get("text"))
            texts += [text] if isinstance(text, str) and text else []
    return "\n".join(texts)


def parts_of(message: Message) -> list[Message]:
    """The parts of one message, [] for a message of plain text."""
    for key in ("parts", "content"):
        found = message.get(key)
        if isinstance(found, list):
            return [part for part in found if isinstance(part, Mapping)]
    return []


def texts_of(messages: Iterable[Message], *roles: str) -> list[str]:
    """The texts of the messages of these roles, in order, without empty ones."""
    return [text for one in messages if str(one.get("role")) in roles and (text := text_of(one).strip())]


def requested_in(messages: Iterable[Message]) -> list[Requested]:
    """The tool calls that the model asked for in these messages, in order."""
    found = []
    for message in messages:
        for part in parts_of(message):
            if part.get("type") in ("tool_call", "tool_use", "function_call"):
                arguments = part.get("arguments", part.get("input"))
                found.append(_requested(part.get("id") or part.get("call_id"), part.get("name"), arguments))
        for call in message.get("tool_calls") or ():
            if isinstance(call, Mapping):
                inner = call.get("function") if isinstance(call.get("function"), Mapping) else call
                assert isinstance(inner, Mapping)
                found.append(_requested(call.get("id"), inner.get("name"), inner.get("arguments")))
    return found


def responses_in(messages: Iterable[Message]) -> list[tuple[str, Any, bool]]:
    """(call id, result, whether it is marked as an error) of the tool results in these messages, in order."""
    found = []
    for message in messages:
        for part in parts_of(message):
            if part.get("type") in ("tool_call_response", "tool_result", "function_call_output"):
                call_id = part.get("id") or part.get("tool_use_id") or part.get("call_id") or ""
                result = part.get("response", part.get("result", part.get("content", part.get("output"))))
                found.append((str(call_id), result, bool(part.get("is_error"))))
        if message.get("role") == "tool" and message.get("tool_call_id") and not _has_response(message):
            found.append((str(message["tool_call_id"]), text_of(message), False))
    return found


def question_in(raw: Any) -> str:
    """What was asked in a stored input: the last user message, the text, or the argument that names a question."""
    messages = messages_in(raw)
    if messages:
        asked = texts_of(messages, "user")
        return asked[-1] if asked else ""
    return _named_text(decode(raw), _QUESTION_KEYS)


def answer_in(raw: Any) -> str:
    """What was answered in a stored output: the last assistant text, the text, or the value that names an answer."""
    messages = messages_in(raw)
    if messages:
        said = texts_of(messages, "assistant", "model", "ai")
        return said[-1] if said else ""
    return _named_text(decode(raw), _ANSWER_KEYS)


def is_empty(value: Any) -> bool:
    """Whether a stored input or output says nothing."""
    return value in (None, "", "[]", "{}", "null")


def _named_text(value: Any, keys: tuple[str, ...]) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool | int | float):
        return msgspec.json.encode(value).decode()
    if isinstance(value, Mapping):
        for key in keys:
            text = value.get(key)
            if isinstance(text, str) and text.strip():
                return text.strip()
            if isinstance(text, Mapping) and (inner := _named_text(text, keys)):
                return inner
        texts = [text for text in value.values() if isinstance(text, str) and text.strip()]
        return texts[0].strip() if len(texts) == 1 else ""
    return ""


def _requested(call_id: Any, name: Any, arguments: Any) -> Requested:
    data = decode(arguments) if isinstance(arguments, str) and arguments.strip() else arguments
    data = {} if data is None or data == "" else data
    return Requested(str(call_id or ""), str(name or ""), data, isinstance(data, str))


def _has_response(message: Message) -> bool:
    kinds = ("tool_call_response", "tool_result", "function_call_output")
    return any(part.get("type") in kinds for part in parts_of(message))


def _is_message(item: Any) -> bool:
    return (
        isinstance(item, Mapping)
        and isinstance(item.get("role"), str | None)
        and (isinstance(item.get("parts"), list) or ("role" in item and "content" in item) or "tool_calls" in item)
    )
