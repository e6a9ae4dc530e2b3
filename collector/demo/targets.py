"""What the demo's gate replays the regression cases against: the assistant with the edited and with the fixed prompt.

Usable on their own: `evalspan gate --dataset regression.jsonl --target evalspan.collector.demo.targets:fixed_prompt ...`
"""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import ExitStack
from functools import cache
from typing import Any

from .assistant import BAD_PROMPT, GOOD_PROMPT, Assistant
from .local_model import MODEL_NAME, local_model
from .suite import question_of

MODEL_URL = "EVALSPAN_DEMO_MODEL_URL"
"""Environment variable: a local model that already runs; otherwise one is started."""


_one_model = threading.Lock()


def bad_prompt(input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002 - the contract's word
    """The assistant as it was in week two."""
    return _assistant().answer(question_of(input), BAD_PROMPT)


def fixed_prompt(input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002 - the contract's word
    """The assistant with the greeting taken out again."""
    return _assistant().answer(question_of(input), GOOD_PROMPT)


def connect_assistant(local_url: str | None = None) -> Assistant:
    """The assistant on `OPENAI_BASE_URL` (model in `OPENAI_MODEL`) if that is set, else on the local model."""
    remote = os.environ.get("OPENAI_BASE_URL")
    if remote:
        model = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")
        return Assistant(remote, model, api_key=os.environ.get("OPENAI_API_KEY", "none"), openai_url=remote)
    assert local_url is not None
    return Assistant(local_url, MODEL_NAME)


def _assistant() -> Assistant:
    with _one_model:  # the gate calls targets from several threads
        return _connected()


@cache
def _connected() -> Assistant:
    running = os.environ.get(MODEL_URL)
    if running or os.environ.get("OPENAI_BASE_URL"):
        return connect_assistant(running)
    stack = ExitStack()
    atexit.register(stack.close)
    return connect_assistant(stack.enter_context(local_model()))
