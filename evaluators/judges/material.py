"""What a judge is shown: input, context, reference and response, each in its fence; and what may warn about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..text.passages import passage_text
from .fencing import fence


def render_material(nonce: str, **parts: str) -> str:
    """The parts that are not empty, each fenced, in the order given; underscores in their names become spaces."""
    return "\n\n".join(fence(name.replace("_", " ").upper(), text, nonce) for name, text in parts.items() if text)


def asked_text(value: Any) -> str:
    """The input as a judge reads it: the question alone, a conversation by role, or all fields as JSON."""
    if isinstance(value, list) and value and all(isinstance(one, Mapping) and "role" in one for one in value):
        return "\n".join(f"{one['role']}: {passage_text(one.get('parts') or one.get('content'))}" for one in value)
    if isinstance(value, Mapping) and len(value) > 1:
        return json.dumps(value, ensure_ascii=False, indent=1, default=str)
    return passage_text(value)


def subject_of(span: Any, given: str | None) -> str | None:
    """The model that wrote the response: as given to the judge, else as the span says."""
    if given or not isinstance(span, Mapping):
        return given
    return str(span.get("response_model") or span.get("request_model") or "") or None
