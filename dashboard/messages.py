"""Reads the messages of a span for people: roles, text, tool calls joined to their results, images, documents.

Whatever cannot be read as messages is shown as text; nothing here is trusted, the templates escape all of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..queries.messages import SYSTEM_ROLES

MAX_CHARACTERS = 24_000
"""Characters of one text that a page shows; the `.json` twin has all of it."""
_IMAGE = re.compile(r"image/(png|jpeg|gif|webp)")
_SOUND = re.compile(r"audio/(wav|x-wav|mpeg|mp3|ogg|webm|flac|aac|mp4)")
MAX_MEDIA = 2_000_000
"""Characters of base64 that a page plays or draws; more is named with its size."""
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")
_TEXT_KEYS = ("content", "text", "value", "response", "result", "refusal")

Part = dict[str, Any]
Message = dict[str, Any]


def read(*bodies: str) -> list[Message]:
    """The messages of an input and an output in order; each has `role`, `finish` and `parts`."""
    found = [message for body in bodies for message in _messages(body)]
    return _join_results(found)


def plain_text(body: str) -> str:
    """The words of messages, or of a list of parts, without their roles."""
    value = _loads(body)
    if isinstance(value, list) and value and not any(isinstance(item, dict) and "role" in item for item in value):
        return _joined([_part(item) for item in value])
    return "\n".join(_joined(message["parts"]) for message in read(body))


def last_question(body: str) -> str:
    """What the user asked last in an input: earlier turns are in the messages, too."""
    found = read(body)
    asked = [message for message in found if message["role"] in {"user", ""}] or found
    return _joined(asked[-1]["parts"]) if asked else ""


def system_text(instructions: str, body: str) -> str:
    """The system prompt of a call, from its attribute or from the messages of its input."""
    if instructions:
        return plain_text(instructions)
    return "\n".join(_joined(message["parts"]) for message in read(body) if message["role"] in SYSTEM_ROLES)


def documents(text: str) -> list[dict[str, Any]]:
    """Retrieved documents as `id`, `score` and `text`; empty when the text holds none."""
    value = _loads(text)
    if isinstance(value, dict):
        value = value.get("documents")
    if not isinstance(value, list) or not all(isinstance(item, (dict, str)) for item in value):
        return []
    return [_document(item) for item in value]


def _document(item: Any) -> dict[str, Any]:
    if isinstance(item, str):
        return {"id": "", "score": None, "text": _short(item)}
    inner = item.get("document") if isinstance(item.get("document"), dict) else item
    text = next((inner[key] for key in ("content", "text", "page_content") if inner.get(key)), "")
    score = next((item[key] for key in ("score", "relevance", "similarity") if _is_number(item.get(key))), None)
    return {"id": str(inner.get("id", "")), "score": score, "text": _short(_as_text(text))}


def _messages(body: str) -> list[Message]:
    if not body:
        return []
    value = _loads(body)
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        value = value["messages"]
    if isinstance(value, dict) and "role" in value:
        value = [value]
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) and "role" in item for item in value):
        return [{"role": "", "finish": "", "parts": [_text(_as_text(value) if value is not None else body)]}]
    return [_message(item) for item in value]


def _message(item: Mapping[str, Any]) -> Message:
    raw = item.get("parts", item.get("content", ""))
    parts = [_part(part) for part in raw] if isinstance(raw, list) else [_text(_as_text(raw))] if raw else []
    for call in item.get("tool_calls") or []:
        if isinstance(call, dict):
            inner = call.get("function")
            function = inner if isinstance(inner, dict) else call
            parts.append(_call(call.get("id"), function.get("name"), function.get("arguments")))
    if item.get("tool_call_id"):
        parts = [{"type": "result", "id": str(item["tool_call_id"]), "text": _joined(parts)}]
    return {"role": str(item.get("role") or ""), "finish": str(item.get("finish_reason") or ""), "parts": parts}


def _part(part: Any) -> Part:
    if not isinstance(part, dict):
        return _text(_as_text(part))
    kind = str(part.get("type", "text"))
    if kind in {"tool_call", "tool_use", "server_tool_use"}:
        return _call(part.get("id"), part.get("name"), part.get("arguments", part.get("input")))
    if kind in {"tool_call_response", "tool_result"}:
        body = next((part[key] for key in ("response", "result", "content") if key in part), "")
        return {
            "type": "result",
            "id": str(part.get("id") or part.get("tool_use_id") or ""),
            "text": _short(_as_text(body)),
        }
    if kind in {"blob", "image", "audio", "video", "document", "input_audio"}:
        return _media(part)
    if kind in {"uri", "image_url", "file"}:
        return {
            "type": "link",
            "text": _short(_as_text(part.get("uri") or part.get("image_url") or part.get("file_id"))),
        }
    if kind in {"reasoning", "thinking"}:
        return {"type": "reasoning", "text": _short(_as_text(part.get("content") or part.get("thinking") or ""))}
    body = next((part[key] for key in _TEXT_KEYS if part.get(key)), None)
    return _text(_as_text(part if body is None else body))


def _media(part: Mapping[str, Any]) -> Part:
    """Bytes in a message: a picture, a sound, or what they are and how many; never their base64 text."""
    inner = next((part[key] for key in ("source", "input_audio", "blob") if isinstance(part.get(key), dict)), part)
    mime = str(inner.get("mime_type") or inner.get("media_type") or part.get("mime_type") or "")
    if not mime and inner.get("format"):
        mime = f"audio/{inner['format']}"
    data = str(next((inner[key] for key in ("content", "data") if inner.get(key)), ""))
    if not data:
        return {"type": "link", "text": _short(_as_text(part.get("uri") or part.get("url") or mime or "no content"))}
    whole = bool(_BASE64.fullmatch(data)) and len(data) <= MAX_MEDIA
    for pattern, kind in ((_IMAGE, "image"), (_SOUND, "audio")):
        if whole and pattern.fullmatch(mime):
            return {"type": kind, "source": f"data:{mime};base64,{data}", "text": ""}
    return {"type": "media", "text": f"{mime or 'bytes'}, {len(data.rstrip('=')) * 3 // 4:,} B"}


def _call(call_id: Any, name: Any, arguments: Any) -> Part:
    value = _loads(arguments) if isinstance(arguments, str) else arguments
    shown = arguments if value is None else json.dumps(value, indent=2, ensure_ascii=False)
    return {
        "type": "call",
        "id": str(call_id or ""),
        "name": str(name or "?"),
        "text": _short(str(shown)),
        "result": None,
    }


def _join_results(messages: list[Message]) -> list[Message]:
    """Puts each tool result under its call; a result whose call is not there stays where it was."""
    calls = {part["id"]: part for part in _parts(messages) if part["type"] == "call" and part["id"]}
    for message in messages:
        kept = []
        for part in message["parts"]:
            call = calls.get(part.get("id", "")) if part["type"] == "result" else None
            if call is not None and call["result"] is None:
                call["result"] = part["text"]
            else:
                kept.append(part)
        message["parts"] = kept
    return [message for message in messages if message["parts"] or message["finish"]]


def _parts(messages: Iterable[Message]) -> Iterable[Part]:
    return (part for message in messages for part in message["parts"])


def _text(text: str) -> Part:
    return {"type": "text", "text": _short(text)}


def _joined(parts: list[Part]) -> str:
    return "\n".join(part.get("text", "") for part in parts)


def _short(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return text
    return f"{text[:MAX_CHARACTERS]}\n… {len(text) - MAX_CHARACTERS:,} more characters: see .json"


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(item, dict) and "text" in item for item in value):
        return "\n".join(str(item["text"]) for item in value)
    return json.dumps(value, indent=2, ensure_ascii=False)


def _loads(text: Any) -> Any:
    if not isinstance(text, str) or not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
