"""What an answer of an agent could rest on, as text, and the definitions of the tools that it was offered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ...queries.messages import decode, messages_in, texts_of


def evidence_text(value: Any) -> str:
    """A retrieved document's or a tool result's text; an object that is more than a text is its JSON."""
    value = decode(value)
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return "\n".join(filter(None, (evidence_text(item) for item in value)))
    if isinstance(value, Mapping):
        if messages_in(value):
            return "\n".join(texts_of(messages_in(value), "assistant", "tool", "user"))
        for key in ("page_content", "content", "text"):
            text = value.get(key)
            if isinstance(text, str) and all(
                other in ("id", "score", "metadata", "type", "title", key) for other in value
            ):
                return "\n".join(filter(None, (str(value.get("title") or ""), text.strip())))
            if isinstance(text, list) and "type" not in value:
                return evidence_text(text)
    return "" if value is None else msgspec.json.encode(value, enc_hook=str).decode()


def definitions_in(raw: Any) -> Iterator[dict[str, Any]]:
    """The tools in a stored list of definitions, of either provider's shape: name, description, parameters (JSON Schema)."""
    found = decode(raw)
    for one in found if isinstance(found, list) else ():
        inner = one.get("function") if isinstance(one, Mapping) and isinstance(one.get("function"), Mapping) else one
        if isinstance(inner, Mapping) and isinstance(inner.get("name"), str):
            schema = decode(inner.get("parameters", inner.get("input_schema", inner.get("inputSchema"))))
            schema = schema.get("json", schema) if isinstance(schema, Mapping) else None
            yield {"name": inner["name"], "description": str(inner.get("description") or ""), "parameters": schema}
