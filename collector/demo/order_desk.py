"""The agent that `evalspan demo --agent` watches: a Pydantic AI agent on the local model, with order look-up and refunds.

Pydantic AI runs the loop and traces it by itself. The model is too small to call tools in OpenAI's form, so a wrapper
around it holds its answer to a JSON Schema and hands the framework the tool call that this says. Nothing here knows
evalspan but `observe`, around what the customer is told.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import evalspan

from ...errors import EvalspanError

if TYPE_CHECKING:
    from pydantic_ai import Agent
    from pydantic_ai.models import Model

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
        self._whole = whole_numbers
        self._agent = self._clerk(_local(base_url, model, api_key), prompt)

    def answer(self, question: str, conversation: str | None = None) -> str:
        """What the customer is told; `conversation` is the id that the agent's spans get."""
        desk = evalspan.observe(name="order desk", kind="agent")(self._answer)
        return str(desk(question, conversation))

    def _answer(self, question: str, conversation: str | None) -> str:
        try:
            return str(self._agent.run_sync(question, conversation_id=conversation).output)
        except LookupError:
            # What such apps do, and what nobody notices until the money is asked for.
            return "Your refund has been arranged." if "refund" in question else "Your order is on its way."

    def _clerk(self, model: Model, prompt: str) -> Agent:
        from pydantic_ai import Agent, Tool

        order = _WHOLE if self._whole else _DIGITS
        schema = {"type": "object", "properties": {"order": order}, "required": ["order"]}
        tools = [
            Tool.from_schema(run, name, about, schema)
            for name, about, run in (
                ("find_order", "Look an order up.", self._find),
                ("refund", "Refund an order.", self._refund),
            )
        ]
        return Agent(
            model,
            name="order_clerk",
            instructions=prompt,
            tools=tools,
            model_settings={"temperature": 0, "max_tokens": 40},
        )

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


def _local(base_url: str, model: str, api_key: str) -> Model:
    """The local model for Pydantic AI. Raises EvalspanError where that is not installed."""
    try:
        from pydantic_ai.messages import ToolCallPart, ToolReturnPart
        from pydantic_ai.models import ModelRequestParameters
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.models.wrapper import WrapperModel
        from pydantic_ai.providers.openai import OpenAIProvider
    except ModuleNotFoundError as error:
        raise EvalspanError(
            "The agent of this demo runs on Pydantic AI, which is not installed.", hint="pip install 'evalspan[demo]'"
        ) from error

    class SaysWhichTool(WrapperModel):
        """Asks for {"tool", "order"} first and makes a tool call of it; the answer to the tool's result is free text."""

        async def request(self, messages: Any, model_settings: Any, model_request_parameters: Any) -> Any:
            plain = ModelRequestParameters(instruction_parts=model_request_parameters.instruction_parts)
            if any(isinstance(part, ToolReturnPart) for part in messages[-1].parts):
                return await self.wrapped.request(messages, model_settings, plain)
            form = {"type": "json_schema", "json_schema": {"name": "call", "schema": _SAID, "strict": True}}
            held: Any = {**(model_settings or {}), "extra_body": {"response_format": form}}
            response = await self.wrapped.request(messages, held, plain)
            said = json.loads(response.text or "{}")
            call = ToolCallPart(str(said.get("tool", "find_order")), {"order": str(said.get("order", ""))})
            return replace(response, parts=[call])

    return SaysWhichTool(OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url, api_key=api_key)))


def questions(count: int) -> list[tuple[str, str, str]]:
    """(question, order, tool) of so many customers, the same every time."""
    orders = list(ORDERS)
    found = []
    for number in range(count):
        order, text = orders[number * 7 % len(orders)], QUESTIONS[number % len(QUESTIONS)]
        tool = "refund" if "refund" in text else "find_order"
        found.append((text.format(order=order), order, tool))
    return found
