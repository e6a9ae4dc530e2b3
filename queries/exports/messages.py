"""An example's input as a chat, for formats that ask in messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..messages import question_of


def conversation(example_input: Mapping[str, Any]) -> list[dict[str, str]]:
    """The input's messages, else its first turn, else its question as the user's only message, else its JSON."""
    messages = example_input.get("messages")
    if isinstance(messages, list) and messages and all(isinstance(one, Mapping) for one in messages):
        return [{"role": str(one.get("role") or "user"), "content": _text(one.get("content"))} for one in messages]
    turns = example_input.get("turns")
    if isinstance(turns, list) and turns and all(isinstance(one, str) for one in turns):
        # The answers between are the agent's to give: a format of one request can hold the first turn only.
        return [{"role": "user", "content": turns[0]}]
    question = question_of(example_input)
    only_text = isinstance(example_input.get("question"), str) or len(example_input) == 1
    return [{"role": "user", "content": question if only_text else msgspec.json.encode(example_input).decode()}]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else msgspec.json.encode(content).decode()
