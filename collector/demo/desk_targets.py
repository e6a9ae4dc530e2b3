"""What the agent's demo replays its cases against, and the evaluators of traces that judge it online and at the gate."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from ...errors import UsageError
from ...evaluators import ArgumentsValid, ErrorsHandled, ToolCalls
from ...evaluators.contract import Evaluator
from .local_model import MODEL_NAME
from .order_desk import NEW_PROMPT, OLD_PROMPT, OrderDesk
from .targets import MODEL_URL

CHECKS: list[Evaluator] = [ArgumentsValid(), ErrorsHandled()]
"""Online: nothing says which tools a customer's question needs."""
GATE: list[Evaluator] = [ArgumentsValid(), ToolCalls()]
"""At the gate the reviewed cases say it."""


def old_prompt(input: dict[str, Any]) -> str:  # noqa: A002 - the contract's word
    """The agent with the prompt of before the tools' change, on the changed tools."""
    return _desk(OLD_PROMPT).answer(str(input["question"]))


def fixed_prompt(input: dict[str, Any]) -> str:  # noqa: A002 - the contract's word
    """The agent with the prompt that copies the whole order number."""
    return _desk(NEW_PROMPT).answer(str(input["question"]))


def _desk(prompt: str) -> OrderDesk:
    url = os.environ.get(MODEL_URL)
    if not url:
        raise UsageError(f"{MODEL_URL} names no model", hint="`evalspan demo --agent` sets it for its gate")
    desk = OrderDesk(f"{url}/v1", MODEL_NAME, prompt, whole_numbers=True)
    _trace_agents()
    return desk


@cache
def _trace_agents() -> None:
    """An app calls `evalspan.init()`; here nothing leaves the process, the gate alone reads the framework's spans."""
    from pydantic_ai import Agent

    Agent.instrument_all()
