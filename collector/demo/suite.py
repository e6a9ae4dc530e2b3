"""What "a good answer" means to the demo's support team, as evaluators: the same in production and at the gate."""

from __future__ import annotations

import re
from typing import Any

from ...evaluators import Constraints, Evaluator, Grounding, Score, Unscored, evaluator, token_f1
from ...queries.messages import messages_in
from ...queries.messages import text_of as message_text
from .knowledge import known_answer

MAX_ANSWER = 40
"""Words; support answers are read on phones."""

F1_PASSES = 0.5

_GREETING = re.compile(r"\b(holiday\w*|merry|christmas|festive|season's greetings|cheer\w*)\b", re.IGNORECASE)
_QUESTION = re.compile(r"Question:\s*(.+?)\s*$", re.DOTALL)
_FACTS = re.compile(r"Facts:\s*(.*?)\s*Question:", re.DOTALL)


def text_of(messages: Any) -> str:
    """The text of the last message, from GenAI messages (JSON or parsed) or from plain text."""
    if found := messages_in(messages):
        return message_text(found[-1])
    if isinstance(messages, dict):
        return str(messages.get("question", ""))
    return str(messages or "")


def question_of(asked: Any) -> str:
    """The customer's question in what the model was sent."""
    text = text_of(asked)
    found = _QUESTION.search(text)
    return found.group(1) if found else text.strip()


def facts_of(asked: Any) -> str:
    """The retrieved passages in what the model was sent, empty if there were none."""
    found = _FACTS.search(text_of(asked))
    return found.group(1) if found else ""


style = (
    Constraints(name="support_style")
    .add("not empty", lambda output: bool(text_of(output).strip()))
    .add(f"at most {MAX_ANSWER} words", lambda output: len(text_of(output).split()) <= MAX_ANSWER)
    .add("no seasonal greeting", lambda output: not _GREETING.search(text_of(output)))
    .add("does not talk about the customer", lambda output: "the customer" not in text_of(output).lower())
)


@evaluator(name="answer_f1", version="1", threshold=F1_PASSES)
def answer_f1(input: Any, output: Any, expected: Any = None) -> Score | Unscored:  # noqa: A002 - the contract's word
    """Token F1 against the answer that the support team agreed on, where there is one."""
    agreed = expected or known_answer(question_of(input))
    if not agreed:
        return Unscored("nobody wrote down the right answer to this question")
    result: Score | Unscored = token_f1(text_of(output), agreed)
    return result


_grounding = Grounding()


@evaluator(name="grounded", version="1")
async def grounded(input: Any, output: Any, context: Any = None) -> Score | Unscored:  # noqa: A002
    """Whether numbers, prices and names in the answer occur in the passages that were retrieved for it."""
    return await _grounding.evaluate(output=text_of(output), context=context or facts_of(input))


SUITE: list[Evaluator] = [style, answer_f1, grounded]
