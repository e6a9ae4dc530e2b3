"""Holds content attributes against the published JSON schemas of GenAI messages, which lie in `published/`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from evalspan.instrument import semconv

PUBLISHED = Path(__file__).parent / "published"
FILES = {
    semconv.INPUT_MESSAGES: "gen-ai-input-messages.json",
    semconv.OUTPUT_MESSAGES: "gen-ai-output-messages.json",
    semconv.SYSTEM_INSTRUCTIONS: "gen-ai-system-instructions.json",
    semconv.TOOL_DEFINITIONS: "gen-ai-tool-definitions.json",
    semconv.RETRIEVAL_DOCUMENTS: "gen-ai-retrieval-documents.json",
}
SCHEMAS = {name: json.loads((PUBLISHED / file).read_text()) for name, file in FILES.items()}


def check_messages(attributes: Mapping[str, Any]) -> None:
    """Raises jsonschema.ValidationError for content that is not what the conventions publish."""
    for name, schema in SCHEMAS.items():
        if name in attributes:
            value = json.loads(attributes[name])
            Draft202012Validator(schema).validate(value)
            for item, definition in named_parts(value, schema):
                # The schemas let any part pass as a generic one, also a misspelled part of a kind that they name.
                Draft202012Validator({**definition, "$defs": schema["$defs"]}).validate(item)


def named_parts(value: list[dict[str, Any]], schema: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every part, or definition of a tool, whose type the schema has a definition for, with that definition."""
    kinds: dict[str, dict[str, Any]] = {}
    for definition in schema["$defs"].values():
        kind = definition.get("properties", {}).get("type", {}).get("const")
        if kind is not None:
            kinds[kind] = definition
    for item in value:
        for part in item.get("parts", [item]):
            if part.get("type") in kinds:
                yield part, kinds[part["type"]]
