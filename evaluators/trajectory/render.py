"""A trace or conversation as text for a judge: bounded, and what was cut is marked where it was and counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ...queries.messages import messages_in, texts_of
from .conversation import Conversation
from .steps import Step
from .trace import Trace

MAX_CHARACTERS = 24_000
"""Of a rendered trajectory: about 6,000 tokens, which leaves a small judge room for its instructions and its answer."""
_TEXT = 1_500
_DATA = 600


class Rendered(msgspec.Struct, frozen=True):
    """The text, and what is not in it."""

    text: str
    steps_left_out: int = 0
    characters_left_out: int = 0

    @property
    def complete(self) -> bool:
        """Whether nothing was cut."""
        return not self.steps_left_out and not self.characters_left_out

    @property
    def details(self) -> dict[str, int]:
        """What was cut, for the details of a score; {} when nothing was."""
        counts = {"steps_left_out": self.steps_left_out, "characters_left_out": self.characters_left_out}
        return {name: count for name, count in counts.items() if count}


class _Cutter:
    def __init__(self) -> None:
        self.cut = 0

    def clip(self, text: str, max_length: int) -> str:
        """The beginning and the end of a text: an agent's result often says at its end what came of it."""
        if len(text) <= max_length:
            return text
        self.cut += len(text) - max_length
        head = max_length * 2 // 3
        return f"{text[:head]} [... {len(text) - max_length} characters cut ...] {text[head - max_length :]}"


def render_trace(trace: Trace, max_length: int = MAX_CHARACTERS) -> Rendered:
    """The question, every step in order with what went in and came out, and the answer."""
    cutter = _Cutter()
    head = f"USER: {cutter.clip(trace.question, _TEXT * 2)}"
    tail = f"FINAL ANSWER: {cutter.clip(trace.answer, _TEXT * 2)}"
    if not trace.complete:
        tail += "\n[the trace is incomplete: its end was not recorded]"
    lines = [_step_line(step, cutter) for step in trace.steps]
    body, left_out = _fit(lines, max_length - len(head) - len(tail) - 200)
    left_out += trace.spans_left_out
    return Rendered("\n".join([head, *body, tail]), left_out, cutter.cut)


def render_conversation(conversation: Conversation, max_length: int = MAX_CHARACTERS) -> Rendered:
    """Every turn: what the user said, the tools that were called, what was answered."""
    cutter = _Cutter()
    blocks = []
    for turn in conversation.turns:
        lines = [f"USER (turn {turn.number}): {cutter.clip(turn.question, _TEXT)}"]
        for call in turn.trace.tool_calls[:30]:
            ending = f"failed: {call.error}" if call.error is not None else _data(call.result, cutter)
            lines.append(f"  TOOL {call.name}({_data(call.arguments, cutter)}) -> {ending}")
        lines.append(f"ASSISTANT: {cutter.clip(turn.answer, _TEXT)}")
        blocks.append("\n".join(lines))
    body, left_out = _fit(blocks, max_length - 200)
    return Rendered("\n".join(body), left_out + conversation.turns_left_out, cutter.cut)


def _fit(blocks: Sequence[str], room: int) -> tuple[list[str], int]:
    """As many blocks as there is room for: the first third of it from the beginning, the rest from the end."""
    if sum(len(block) + 1 for block in blocks) <= room:
        return list(blocks), 0
    first = _while_fits(blocks, room // 3)
    last = _while_fits(blocks[len(first) :][::-1], room - sum(len(block) + 1 for block in first))[::-1]
    left_out = len(blocks) - len(first) - len(last)
    return [*first, f"[... {left_out} steps left out ...]", *last], left_out


def _while_fits(blocks: Sequence[str], room: int) -> list[str]:
    kept: list[str] = []
    for block in blocks:
        room -= len(block) + 1
        if room < 0:
            break
        kept.append(block)
    return kept


def _step_line(step: Step, cutter: _Cutter) -> str:
    lead = "  " * min(step.depth, 8)
    who = f" by {step.agent}" if step.agent and step.kind != "agent" else ""
    ending = f"\n{lead}  ERROR: {cutter.clip(step.error, _DATA)}" if step.error is not None else ""
    if step.kind == "call":
        said = " ".join(texts_of(messages_in(step.output), "assistant", "model", "ai"))
        return f"{lead}[{step.index}] MODEL{who}: {cutter.clip(said, _TEXT) or '(no text)'}{ending}"
    if step.kind == "tool":
        given, got = _data(step.input, cutter), _data(step.output, cutter)
        return f"{lead}[{step.index}] TOOL{who} {step.name}({given}) -> {got}{ending}"
    if step.kind == "retrieval":
        return f"{lead}[{step.index}] RETRIEVAL {_data(step.input, cutter)} -> {_data(step.output, cutter)}{ending}"
    return f"{lead}[{step.index}] {step.kind.upper()} {step.name}{ending}"


def _data(value: Any, cutter: _Cutter) -> str:
    if value is None:
        return "(nothing)"
    text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
    return cutter.clip(" ".join(text.split()), _DATA)
