"""OpenAI chat completions and legacy completions: requests and responses as span attributes."""

from __future__ import annotations

from functools import partial
from typing import Any

from ... import semconv
from ...tracing import Attributes
from ..parts import Message, each, field, fields, listed, message, text
from ..surface import FAILURE, Accumulator, Failure
from .chat_stream import ChatStream
from .fields import FINISH_REASONS, failure_of, identity, parameters, usage
from .messages import input_message, message_parts, tool_definition

_OUTPUT_TYPES = {"json_object": "json", "json_schema": "json", "text": "text"}


class Chat:
    """`/chat/completions`."""

    operation = semconv.OPERATION_CHAT

    def request(self, body: dict[str, Any]) -> Attributes:
        """Parameters, messages and tools of a request."""
        found = parameters(body)
        found[semconv.OPENAI_API_TYPE] = "chat_completions"
        if (stop := body.get("stop")) is not None:
            found[semconv.REQUEST_STOP_SEQUENCES] = [stop] if isinstance(stop, str) else stop
        if isinstance(count := body.get("n"), int) and count != 1:
            found[semconv.REQUEST_CHOICE_COUNT] = count
        wanted = body.get("response_format")
        if wanted is not None and (output_type := _OUTPUT_TYPES.get(field(wanted, "type") or "")):
            found[semconv.OUTPUT_TYPE] = output_type
        if tools := listed(body, "tools"):
            found[semconv.TOOL_DEFINITIONS] = each(tool_definition, tools)
        found[semconv.INPUT_MESSAGES] = each(input_message, listed(body, "messages"))
        return found

    def response(self, response: Any) -> Attributes:
        """Identity, usage and choices of a completion."""
        given = fields(response)
        found = identity(given)
        found.update(usage(_reported(given)))
        choices = list(map(fields, listed(given, "choices")))
        if choices:
            sources = given.get("search_results") or given.get("citations")
            found[semconv.FINISH_REASONS] = [choice.get("finish_reason") or "error" for choice in choices]
            found[semconv.OUTPUT_MESSAGES] = each(partial(_choice, sources=sources), choices)
        if (failure := _failure(given, choices)) is not None:
            found[FAILURE] = failure
        return found

    def accumulator(self) -> Accumulator:
        """Follows a streamed completion."""
        return ChatStream(self)


class Completion(Chat):
    """`/completions`, the legacy one."""

    operation = semconv.OPERATION_COMPLETION

    def request(self, body: dict[str, Any]) -> Attributes:
        """Parameters and prompts of a request; token ids are not text and are left out."""
        found = parameters(body)
        prompt = body.get("prompt")
        prompts = [prompt] if isinstance(prompt, str) else listed(body, "prompt")
        found[semconv.INPUT_MESSAGES] = [message("user", [text(item)]) for item in prompts if isinstance(item, str)]
        return found


def _reported(given: dict[str, Any]) -> Any:
    """The usage, also where some servers put it: beside the choices, or in one."""
    if (reported := given.get("usage")) is not None:
        return reported
    if (groq := given.get("x_groq")) is not None:
        return field(groq, "usage")
    return next((found for one in listed(given, "choices") if (found := fields(one).get("usage")) is not None), None)


def _failure(given: dict[str, Any], choices: list[dict[str, Any]]) -> Failure | None:
    """Gateways answer 200 and put the model's error into the body, or into a choice."""
    if (failure := failure_of(given.get("error"))) is not None:
        return failure
    for choice in choices:
        if (failure := failure_of(choice.get("error"))) is not None:
            return failure
        if choice.get("finish_reason") == "error":
            return Failure("failed", "")
    return None


def _choice(choice: dict[str, Any], sources: Any) -> Message:
    reason = choice.get("finish_reason")
    said = choice.get("message")
    parts = message_parts(fields(said), sources) if said is not None else [text(choice.get("text"))]
    made: Message = {"role": "assistant", "parts": parts}
    if reason is not None:
        made["finish_reason"] = FINISH_REASONS.get(reason, reason)
    return made
