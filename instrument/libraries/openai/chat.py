"""OpenAI chat completions and legacy completions: requests and responses as span attributes."""

from __future__ import annotations

from typing import Any

from ... import semconv
from ...tracing import Attributes
from ..parts import Message, field, fields, listed, message, text
from ..surface import Accumulator
from .chat_stream import ChatStream, CompletionStream
from .fields import FINISH_REASONS, identity, parameters, usage
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
            found[semconv.TOOL_DEFINITIONS] = [tool_definition(tool) for tool in tools]
        found[semconv.INPUT_MESSAGES] = list(map(input_message, listed(body, "messages")))
        return found

    def response(self, response: Any) -> Attributes:
        """Identity, usage and choices of a completion."""
        given = fields(response)
        found = identity(given)
        found.update(usage(given.get("usage")))
        if choices := listed(given, "choices"):
            reasons = found[semconv.FINISH_REASONS] = []
            messages = found[semconv.OUTPUT_MESSAGES] = []
            for choice in map(fields, choices):
                reasons.append(choice.get("finish_reason") or "error")
                messages.append(_choice(choice))
        return found

    def accumulator(self) -> Accumulator:
        """Follows a streamed completion."""
        return ChatStream()


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

    def accumulator(self) -> Accumulator:
        """Follows a streamed completion."""
        return CompletionStream()


def _choice(choice: dict[str, Any]) -> Message:
    reason = choice.get("finish_reason")
    said = choice.get("message")
    parts = message_parts(fields(said)) if said is not None else [text(choice.get("text"))]
    made: Message = {"role": "assistant", "parts": parts}
    if reason is not None:
        made["finish_reason"] = FINISH_REASONS.get(reason, reason)
    return made
