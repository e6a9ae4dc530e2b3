"""Turns a span's stored messages back into what an app is called with: a question, and the messages before it.

The system prompt is left out: it is what changes between the failure and its fix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

SYSTEM_ROLES = ("system", "developer")


def input_of(stored: str) -> dict[str, Any]:
    """The input of an example: `question` and `messages` of a model call, the arguments of an observed function."""
    value = _decode(stored)
    if isinstance(value, Mapping):
        return dict(value)
    if not _is_conversation(value):
        return {"question": value if isinstance(value, str) else stored}
    messages = [
        {"role": str(message.get("role") or "user"), "content": _text(message)}
        for message in value
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
    value = _decode(stored)
    if _is_conversation(value):
        return "\n".join(_text(message) for message in value)
    return value if isinstance(value, str) else stored


def _decode(stored: str) -> Any:
    try:
        return msgspec.json.decode(stored)
    except msgspec.DecodeError:
        return stored


def _is_conversation(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) and "role" in one for one in value)


def _text(message: Mapping[str, Any]) -> str:
    if isinstance(message.get("content"), str):
        return str(message["content"])
    parts = [part for part in message.get("parts") or () if isinstance(part, Mapping)]
    texts = [str(part["content"]) for part in parts if part.get("type") == "text" and part.get("content")]
    # What is not text (a tool call, an image) is kept as its JSON: nothing of the conversation is lost in silence.
    texts += [msgspec.json.encode(part).decode() for part in parts if part.get("type") != "text"]
    return "\n".join(texts)


def _texts(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [] if value is None else [str(value)]
