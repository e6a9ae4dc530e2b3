"""The parts that GenAI messages are made of, in the shape of the published schemas; media by reference, never inline."""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
from collections.abc import Callable
from typing import Any

import msgspec

Part = dict[str, Any]
Message = dict[str, Any]

log = logging.getLogger(__name__)

_decode = msgspec.json.Decoder().decode
# Of a citation, what only the provider can read.
_OPAQUE = frozenset({"encrypted_index", "encrypted_content"})


def field(source: Any, name: str) -> Any:
    """A field of an SDK object or of its JSON, None when it is not there."""
    return source.get(name) if type(source) is dict else getattr(source, name, None)


def fields(source: Any) -> dict[str, Any]:
    """All fields of an SDK object, also those its release does not know, or of its JSON; empty for anything else."""
    if type(source) is dict:
        return source
    known: dict[str, Any] = getattr(source, "__dict__", None) or {}
    unknown = getattr(source, "__pydantic_extra__", None)
    return {**known, **unknown} if unknown else known


def listed(source: Any, name: str) -> list[Any]:
    """A field that must be a list, empty when it is anything else: what belongs to the user is never iterated."""
    value = field(source, name)
    return value if type(value) is list else []


def each(convert: Callable[[Any], Any], items: Any) -> list[Any]:
    """Every item converted; one that cannot be read costs itself only."""
    made = []
    for item in items:
        try:
            made.append(convert(item))
        except Exception:
            log.debug("could not read a part of a message", exc_info=True)
            made.append({"type": "unknown"})
    return made


def text(content: Any, **more: Any) -> Part:
    """Plain text; further fields are left out when they are None."""
    made: Part = {"type": "text", "content": content if isinstance(content, str) else ""}
    return _with(made, more) if more else made


def citations(given: Any) -> list[dict[str, Any]] | None:
    """What a text refers to, from the annotations or citations of either API; None when there are none."""
    if type(given) is not list or not given:
        return None
    return [found for found in each(_citation, given) if found] or None


def _citation(given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        return {"type": "url_citation", "url": given}
    plain = dict(given) if type(given) is dict else _dumped(given)
    inner = plain.get(str(plain.get("type")))
    if isinstance(inner, dict):
        # Chat wraps what responses give flat.
        plain = {"type": plain["type"], **inner}
    # In one order, whether it came as an object of the SDK's or as JSON.
    return {key: plain[key] for key in sorted(plain) if plain[key] is not None and key not in _OPAQUE}


def reasoning(content: Any) -> Part:
    """What a model thought before it answered."""
    return {"type": "reasoning", "content": content if isinstance(content, str) else ""}


def refused(content: Any) -> Part:
    """What a model said instead of an answer."""
    return {"type": "refusal", "content": content if isinstance(content, str) else ""}


def tool_call(id_: Any, name: Any, arguments: Any) -> Part:
    """A call of a tool that the model asks for; arguments that are JSON text become their value."""
    return {"type": "tool_call", "id": id_, "name": name or "", "arguments": parsed(arguments)}


def tool_response(id_: Any, response: Any, **more: Any) -> Part:
    """What a tool answered; further fields are left out when they are None."""
    return _with({"type": "tool_call_response", "id": id_, "response": response}, more)


def server_tool_call(kind: str, id_: Any, name: Any, details: dict[str, Any]) -> Part:
    """A tool that the provider runs itself, such as web search."""
    return {"type": "server_tool_call", "id": id_, "name": name or kind, "server_tool_call": {"type": kind, **details}}


def server_tool_response(kind: str, id_: Any, details: dict[str, Any]) -> Part:
    """What a provider's own tool returned."""
    return {"type": "server_tool_call_response", "id": id_, "server_tool_call_response": {"type": kind, **details}}


def blob(modality: str, mime_type: str | None, data: Any) -> Part:
    """Media that was sent inline: its size in bytes and SHA-256 stand for it."""
    raw = data if isinstance(data, bytes) else _from_base64(data)
    digest = hashlib.sha256(raw, usedforsecurity=False).hexdigest()
    part: Part = {"type": "blob", "modality": modality, "content": "", "byte_size": len(raw), "sha256": digest}
    if mime_type:
        part["mime_type"] = mime_type
    return part


def uri(modality: str, address: Any, mime_type: str | None = None) -> Part:
    """Media by its address; a data: address is media sent inline."""
    if isinstance(address, str) and address.startswith("data:"):
        head, _, data = address.partition(",")
        return blob(modality, head[5:].partition(";")[0] or mime_type, data)
    part: Part = {"type": "uri", "modality": modality, "uri": address if isinstance(address, str) else ""}
    if mime_type:
        part["mime_type"] = mime_type
    return part


def file(modality: str, file_id: Any) -> Part:
    """Media that was uploaded before, by its id."""
    return {"type": "file", "modality": modality, "file_id": file_id if isinstance(file_id, str) else ""}


def other(block: Any) -> Part:
    """A block of a kind unknown to us, as it is: the schemas allow any type."""
    plain = _plain(block) if type(block) is dict else _dumped(block)
    return {**plain, "type": str(plain.get("type") or "unknown")}


def named_tool(tool: Any) -> dict[str, Any]:
    """A tool as it was defined; one of the provider's that has no name goes by its type."""
    given = fields(tool) if type(tool) is dict else {}
    kind = str(given.get("type") or "unknown")
    return {"name": kind, **given, "type": kind}


def message(role: Any, parts: list[Part], **more: Any) -> Message:
    """One message; further fields are left out when they are None."""
    return _with({"role": role if isinstance(role, str) and role else "user", "parts": parts}, more)


def _with(made: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    made.update({name: value for name, value in more.items() if value is not None})
    return made


def count_of(value: Any) -> int | None:
    """A number of tokens as an API reports it; some gateways send text or floats. None for what is no count."""
    if value.__class__ is int:  # nearly always
        return value if value >= 0 else None
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() else None
    return int(value) if isinstance(value, float) and value >= 0 and value.is_integer() else None


def parsed(arguments: Any) -> Any:
    """JSON text as its value; text that is not JSON, such as half a tool call, as it is."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return _decode(arguments)
    except (msgspec.DecodeError, ValueError):
        return arguments


def parsed_body(raw: bytes) -> Any:
    """The JSON of a response's body; msgspec.DecodeError when it is none."""
    return _decode(raw)


def _from_base64(data: Any) -> bytes:
    if not isinstance(data, str):
        return b""
    try:
        return base64.b64decode(data, validate=False)
    except (binascii.Error, ValueError):
        return data.encode()


def _plain(value: Any) -> Any:
    """JSON in which objects of the SDK may stand, as JSON."""
    if type(value) is dict:
        return {key: _plain(item) for key, item in value.items()}
    if type(value) is list:
        return [_plain(item) for item in value]
    return _dumped(value) if hasattr(value, "model_dump") else value


def _dumped(block: Any) -> dict[str, Any]:
    dump = getattr(block, "model_dump", None)
    plain = dump(exclude_none=True) if dump is not None else None
    return plain if isinstance(plain, dict) else {"type": "unknown", "content": repr(block)[:1000]}
