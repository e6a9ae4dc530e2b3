"""The system instructions of a call, whose fingerprint is `system_hash`: what was sent as such, else the leading messages.

Only the common forms of messages are read here; any other is left to the views.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .values import EMPTY, Unusual, native, plain

_LEADS = ("system", "developer")
_OTHERS = tuple(f'[{{"role":{space}"{role}"'.encode() for role in ("user", "assistant", "tool") for space in ("", " "))
_MAX_REMEMBERED, _LONGEST = 2_048, 16_384
_remembered: dict[bytes, bytes] = {}


def sent_instructions(text: bytes) -> bytes:
    """Of `gen_ai.system_instructions`: the texts of its parts, or all of it when it has none. Native strings both."""
    found = _remembered.get(text)
    if found is None:
        found = _parts_of(text)
        if len(text) <= _LONGEST:
            if len(_remembered) >= _MAX_REMEMBERED:
                _remembered.clear()
            _remembered[text] = found
    return found


def _parts_of(text: bytes) -> bytes:
    sent = plain(text)
    if not sent.lstrip().startswith(b"["):
        if sent.lstrip()[:1] in (b"{", b'"'):
            raise Unusual("instructions that are JSON but no list")
        return text
    try:
        parts = msgspec.json.decode(sent)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unusual("instructions that begin as a list") from error
    joined = _joined(parts)
    return native(joined.encode()) if joined else text


def leading_instructions(text: bytes) -> bytes:
    """The texts of the system messages that lead an input. Native strings both. Raises Unusual."""
    if text.startswith(_OTHERS, 1, 24) or text.startswith(_OTHERS, 2, 24) or text.startswith(_OTHERS, 3, 24):
        return EMPTY  # behind the length, which has one to three bytes, somebody else begins
    if b'system"' not in text and b'developer"' not in text and b"\\u00" not in text:
        return EMPTY
    sent = plain(text)
    try:
        messages = msgspec.json.decode(sent)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unusual("an input that is no JSON") from error
    if not isinstance(messages, list):
        raise Unusual("an input that is no list")
    leading = []
    for message in messages:
        if not isinstance(message, dict):
            raise Unusual("a message that is no object")
        role = message.get("role", "")
        if not isinstance(role, str):
            raise Unusual("a role that is no text")
        if role not in _LEADS:
            break
        leading.append(_text_of(message))
    return native("\n".join(leading).encode())


def _text_of(message: dict[str, Any]) -> str:
    content = message.get("content")
    if content is not None and not isinstance(content, str):
        raise Unusual("content that is no text")
    return content or _joined(message.get("parts") or [])


def _joined(parts: Any) -> str:
    if not isinstance(parts, list):
        raise Unusual("parts that are no list")
    texts = []
    for part in parts:
        content = part.get("content", "") if isinstance(part, dict) else None
        if not isinstance(content, str):
            raise Unusual("a part without text")
        if content:
            texts.append(content)
    return "\n".join(texts)
