"""Reads GenAI messages, in the conventions' shape (`parts`) and in the providers' own, into texts, calls and questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from .framework_messages import framework_messages

Message = Mapping[str, Any]
SYSTEM_ROLES = ("system", "developer")
"""What they say is left out of an example's input: it is what changes between the failure and its fix."""
TEXT_PARTS = ("text", "output_text", "input_text", "refusal")
_QUESTION_KEYS = ("question", "query", "input", "prompt", "message", "text", "content", "user_input", "task")
_ANSWER_KEYS = ("output", "answer", "result", "response", "content", "text", "message", "final_output")
_AROUND = ("inputs", "outputs", "kwargs")  # what instrumentors put around the arguments and the results of a function


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
    if isinstance(value, Mapping) and "messages" not in value:
        value = next((value[key] for key in _AROUND if isinstance(value.get(key), Mapping | list)), value)
    if framed := framework_messages(value):
        return list(framed)
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
    return "\n".join(text for part in parts_of(message) if (text := _text_in(part)))


def part_text(part: Message) -> str:
    """A part as a person reads it: its text, a tool call as `name({"argument": ...})`, else its JSON."""
    text = part.get("content", part.get("text"))
    if isinstance(text, str):
        return text
    if part.get("type") == "tool_call":
        return f"{part.get('name', '')}({msgspec.json.encode(part.get('arguments')).decode()})"
    return msgspec.json.encode(part).decode()


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


def lines_of(raw: str) -> list[tuple[str, str]]:
    """(role, text) per part of stored messages, as a person reads them; a text that holds none has no role."""
    found = messages_in(raw)
    if not found:
        return [("", raw)] if raw else []
    lines = []
    for message in found:
        texts = [part_text(part) for part in parts_of(message)] or [text_of(message)]
        lines += [(str(message.get("role") or ""), text) for text in texts]
    return lines


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


def shown_text(raw: str, role: str = "") -> str:
    """The words of the last message, or of the last one of `role` if there is any; of what holds no words itself."""
    found = messages_in(raw)
    if not found:
        return raw
    chosen = next((one for one in reversed(found) if role and one.get("role") == role), found[-1])
    texts = [chosen["content"]] if isinstance(chosen.get("content"), str) else []
    for part in parts_of(chosen):
        text = part.get("content") if part.get("type") == "reasoning" else _text_in(part)
        texts += [text] if isinstance(text, str) else []
    return " ".join(text for text in texts if text) or raw


def is_empty(value: Any) -> bool:
    """Whether a stored input or output says nothing."""
    return value in (None, "", "[]", "{}", "null")


def input_of(stored: str) -> dict[str, Any]:
    """The input of an example: `question` and `messages` of a model call, the arguments of an observed function."""
    value = decode(stored)
    if isinstance(value, Mapping):
        return dict(value)
    found = messages_in(value)
    if not found:
        return {"question": value if isinstance(value, str) else stored}
    messages = [
        {"role": str(message.get("role") or "user"), "content": _lossless_text(message)}
        for message in found
        if message.get("role") not in SYSTEM_ROLES
    ]
    asked = [message["content"] for message in messages if message["role"] == "user"]
    return {"question": asked[-1] if asked else "", "messages": messages}


def question_of(example_input: Mapping[str, Any]) -> str:
    """The text by which two inputs are compared: the question if there is one, else all texts."""
    question = example_input.get("question")
    if isinstance(question, str) and question.strip():
        return question
    return "\n".join(_texts(example_input))


def output_text(stored: str) -> str:
    """The text of a stored output: the messages' texts, or the value itself."""
    value = decode(stored)
    if isinstance(value, list) and (found := messages_in(value)):
        return "\n".join(_lossless_text(message) for message in found)
    return value if isinstance(value, str) else stored


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
        if len(texts) == 1:
            return texts[0].strip()
        for key in _AROUND:
            if isinstance(value.get(key), Mapping | str) and (inner := _named_text(value[key], keys)):
                return inner
        given = value.get("args")
        return given[0].strip() if isinstance(given, list) and len(given) == 1 and isinstance(given[0], str) else ""
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


def _lossless_text(message: Message) -> str:
    """The texts of a message, and what is no text (a tool call, an image) as its JSON."""
    if isinstance(message.get("content"), str):
        return str(message["content"])
    texts = [_text_in(part) or msgspec.json.encode(part).decode() for part in parts_of(message) if _text_in(part) != ""]
    return "\n".join(texts)


def _text_in(part: Message) -> str | None:
    """The text of a part of text; None for any other part."""
    if part.get("type", "text") not in TEXT_PARTS:
        return None
    text = part.get("content", part.get("text"))
    return text if isinstance(text, str) else ""


def _texts(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [] if value is None else [str(value)]
