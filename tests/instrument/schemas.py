"""The JSON schemas of GenAI messages, written down from the published models; every content attribute must meet them."""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from evalspan.instrument import semconv

STRING = {"type": "string"}


def part(kind: str, required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    properties = {"type": {"const": kind}, **required, **optional}
    return {"type": "object", "properties": properties, "required": ["type", *required]}


NULLABLE_ID = {"type": ["string", "null"]}
MODALITY = {"modality": STRING}
KNOWN_PARTS = {
    "text": part("text", {"content": STRING}),
    "reasoning": part("reasoning", {"content": STRING}),
    "tool_call": part("tool_call", {"name": STRING}, id=NULLABLE_ID, arguments={}),
    "tool_call_response": part("tool_call_response", {"response": {}}, id=NULLABLE_ID),
    "server_tool_call": part("server_tool_call", {"name": STRING, "server_tool_call": {"type": "object", "required": ["type"]}}),
    "server_tool_call_response": part("server_tool_call_response", {"server_tool_call_response": {"type": "object", "required": ["type"]}}),
    "blob": part("blob", {**MODALITY, "content": STRING}, mime_type=STRING),
    "file": part("file", {**MODALITY, "file_id": STRING}, mime_type=STRING),
    "uri": part("uri", {**MODALITY, "uri": STRING}, mime_type=STRING),
}  # fmt: skip
ANY_PART = {
    "type": "object",
    "properties": {"type": STRING},
    "required": ["type"],
    # A part of a known type must be right; a part of any other type is allowed.
    "allOf": [
        {"if": {"properties": {"type": {"const": kind}}, "required": ["type"]}, "then": schema}
        for kind, schema in KNOWN_PARTS.items()
    ],
}
MESSAGE = {
    "type": "object",
    "properties": {"role": STRING, "parts": {"type": "array", "items": ANY_PART}, "name": STRING},
    "required": ["role", "parts"],
}
TOOL = {
    "type": "object",
    "properties": {"type": STRING, "name": STRING, "description": STRING, "parameters": {"type": "object"}},
    "required": ["type", "name"],
}
SCHEMAS = {
    semconv.INPUT_MESSAGES: {"type": "array", "items": MESSAGE},
    semconv.OUTPUT_MESSAGES: {"type": "array", "items": MESSAGE},
    semconv.SYSTEM_INSTRUCTIONS: {"type": "array", "items": KNOWN_PARTS["text"]},
    semconv.TOOL_DEFINITIONS: {"type": "array", "items": TOOL},
}


def check_messages(attributes: dict[str, Any]) -> None:
    """Raises jsonschema.ValidationError for content that is not what the conventions publish."""
    for name, schema in SCHEMAS.items():
        if name in attributes:
            jsonschema.validate(json.loads(attributes[name]), schema)
