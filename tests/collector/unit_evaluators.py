"""Evaluators of traces and conversations that the tests of their online scoring name as module:name."""

from __future__ import annotations

from typing import Any

from evalspan.evaluators import Score, evaluator

SEEN: list[str] = []


@evaluator(name="tools", version="1", inline=True)
def tools(trace: Any, input: Any, output: Any) -> Score:  # noqa: A002 - the contract's word
    SEEN.append(trace.trace_id)
    return Score(len(trace.tool_calls), passed=bool(output), explanation=f"{input} -> {output}", details={"complete_": trace.complete})  # fmt: skip


@evaluator(name="turns", version="1", inline=True)
def turns(conversation: Any, input: Any, output: Any) -> Score:  # noqa: A002
    SEEN.append(conversation.conversation_id)
    return Score(len(conversation.turns), passed=True, explanation=f"{input} -> {output}", details={"user": conversation.user_id})  # fmt: skip


@evaluator(name="has_answer", version="1", inline=True)
def has_answer(output: Any) -> bool:
    return bool(output)
