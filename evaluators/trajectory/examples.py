"""Evaluators of traces and conversations that settings and documentation can name without a file of their own."""

from __future__ import annotations

from ..contract import evaluator
from .arguments_valid import ArgumentsValid
from .checks import ErrorsHandled, NoRepeatedCalls, StepBudget
from .conversation import Conversation

CHECKS = [ArgumentsValid(), NoRepeatedCalls(), ErrorsHandled(), StepBudget(30)]


@evaluator(name="short_conversation", version="1")
def short_conversation(conversation: Conversation) -> bool:
    """Whether the user had what they came for within eight turns, or gave up: long ones are worth reading."""
    return len(conversation.turns) + conversation.turns_left_out <= 8
