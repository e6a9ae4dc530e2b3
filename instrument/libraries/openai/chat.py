"""OpenAI chat completions and legacy completions: requests and responses as span attributes."""

from __future__ import annotations

from typing import Any

from ... import semconv
from ...safe_call import safe_call
from ...tracing import Attributes
from ..parts import Message, each, field, fields, listed, message, text
from ..surface import FAILURE, Accumulator
from .chat_stream import ChatStream
from .fields import FINISH_REASONS, failure_of, identity, parameters, usage
from .messages import input_messages, message_parts, plain_text, tool_definition

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
        found[semconv.INPUT_MESSAGES] = input_messages(listed(body, "messages"))
        return found

    def response(self, response: Any) -> Attributes:
        """Identity, usage and choices of a completion."""
        given = fields(response)
        found = identity(given)
        choices = listed(given, "choices")
        if (reported := given.get("usage")) is not None or (
            reported := _reported_elsewhere(given, choices)
        ) is not None:
            found.update(usage(reported))
        failure = given.get("error")
        if choices:
            reasons = found[semconv.FINISH_REASONS] = []
            said = found[semconv.OUTPUT_MESSAGES] = []
            sources = given.get("search_results") or given.get("citations")
            for choice in map(fields, choices):
                reason = choice.get("finish_reason")
                reasons.append(reason or "error")
                said.append(safe_call(_choice, choice, sources) or message("assistant", []))
                if (error := choice.get("error")) or reason == "error":
                    # Gateways answer 200 and put the model's error into the body, or into a choice.
                    failure = failure or error or "the model failed"
        if failure:
            found[FAILURE] = failure_of(failure)
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


def _reported_elsewhere(given: dict[str, Any], choices: list[Any]) -> Any:
    """The usage where some servers put it: beside the choices, or in one."""
    if (groq := given.get("x_groq")) is not None:
        return field(groq, "usage")
    return next((found for choice in choices if (found := fields(choice).get("usage")) is not None), None)


def _choice(choice: dict[str, Any], sources: Any) -> Message:
    reason = choice.get("finish_reason")
    said = choice.get("message")
    if said is None:
        parts = [text(choice.get("text"))]
    else:
        parts = (None if sources else plain_text(said)) or message_parts(fields(said), sources)
    made: Message = {"role": "assistant", "parts": parts}
    if reason is not None:
        made["finish_reason"] = FINISH_REASONS.get(reason, reason)
    return made
