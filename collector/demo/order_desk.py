"""The agent that `evalspan demo --agent` watches: a plain tool loop on the local model, with order look-up and refunds.

The model reads the customer's message and says which tool to call with which order, held to a JSON Schema; the loop runs
the tool and answers with what it returned. Nothing in it knows evalspan but `observe`.
"""

from __future__ import annotations

import json
import re
from typing import Any

import openai

import evalspan

ORDERS = {f"LB-{number}": ("shipped", "processing", "delivered")[number % 3] for number in range(1001, 1041)}
QUESTIONS = ("Where is my order {order}?", "Please refund order {order}.", "Has order {order} been sent?")
OLD_PROMPT = (
    "You pick the tool and copy the digits of the order number out of the customer's message. Examples: "
    '"Where is order LB-1900?" -> {"tool": "find_order", "order": "1900"}; '
    '"Refund order LB-1950 please." -> {"tool": "refund", "order": "1950"}'
)
"""Of before the tools' change: they took the digits alone."""
NEW_PROMPT = (
    "You pick the tool and copy the whole order number out of the customer's message. Examples: "
    '"Where is order LB-1900?" -> {"tool": "find_order", "order": "LB-1900"}; '
    '"Refund order LB-1950 please." -> {"tool": "refund", "order": "LB-1950"}'
)
_DIGITS = {"type": "string", "pattern": "^[0-9]{4}$"}
_WHOLE = {"type": "string", "pattern": "^LB-[0-9]{4}$"}
_SAID = {
    "type": "object",
    "properties": {"tool": {"enum": ["find_order", "refund"]}, "order": {"type": "string", "maxLength": 8}},
    "required": ["tool", "order"],
    "additionalProperties": False,
}


class OrderDesk:
    """Answers customers about their orders.

    Args:
        base_url: the OpenAI-compatible server, with `/v1`.
        model: the model's name there.
        prompt: OLD_PROMPT or NEW_PROMPT.
        whole_numbers: whether the tools have changed: they take `LB-1234` instead of `1234`.
        api_key: the key for the server.
    """

    def __init__(self, base_url: str, model: str, prompt: str, *, whole_numbers: bool, api_key: str = "none") -> None:
        self._client = openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=1)
        self._model, self._prompt, self._whole = model, prompt, whole_numbers

    def answer(self, question: str) -> str:
        """What the customer is told."""
        desk = evalspan.observe(name="order desk", kind="agent")(self._answer)
        return str(desk(question))

    def _answer(self, question: str) -> str:
        asked = self._ask(question)
        run = evalspan.observe(name=asked["tool"], kind="tool")(
            {"find_order": self._find, "refund": self._refund}[asked["tool"]]
        )
        try:
            return str(run(order=asked["order"]))
        except LookupError:
            # What such loops do, and what nobody notices until the money is asked for.
            return "Your refund has been arranged." if asked["tool"] == "refund" else "Your order is on its way."

    def _ask(self, question: str) -> dict[str, str]:
        completion = self._client.chat.completions.create(
            model=self._model,
            messages=[{"role": "system", "content": self._prompt}, {"role": "user", "content": question}],
            tools=self._tools(),
            response_format={"type": "json_schema", "json_schema": {"name": "call", "schema": _SAID, "strict": True}},
            temperature=0,
            max_tokens=40,
        )
        said = json.loads(completion.choices[0].message.content or "{}")
        return {"tool": str(said.get("tool", "find_order")), "order": str(said.get("order", ""))}

    def _tools(self) -> Any:
        order = _WHOLE if self._whole else _DIGITS
        parameters = {"type": "object", "properties": {"order": order}, "required": ["order"]}
        return [
            {"type": "function", "function": {"name": name, "description": about, "parameters": parameters}}
            for name, about in (("find_order", "Look an order up."), ("refund", "Refund an order."))
        ]

    def _find(self, order: str) -> str:
        return f"Order {self._known(order)} is {ORDERS[self._known(order)]}."

    def _refund(self, order: str) -> str:
        return f"The refund of {self._known(order)} has been arranged."

    def _known(self, order: str) -> str:
        """The order's number. Raises LookupError for one that the tools do not take, or that is not there."""
        pattern = _WHOLE["pattern"] if self._whole else _DIGITS["pattern"]
        number = order if self._whole else f"LB-{order}"
        if not re.fullmatch(pattern, order) or number not in ORDERS:
            raise LookupError(f"no order {order!r}")
        return number


def questions(count: int) -> list[tuple[str, str, str]]:
    """(question, order, tool) of so many customers, the same every time."""
    orders = list(ORDERS)
    found = []
    for number in range(count):
        order, text = orders[number * 7 % len(orders)], QUESTIONS[number % len(QUESTIONS)]
        tool = "refund" if "refund" in text else "find_order"
        found.append((text.format(order=order), order, tool))
    return found
