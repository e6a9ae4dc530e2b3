"""OpenAI chat completions and legacy completions: requests and responses as span attributes."""

from __future__ import annotations

from typing import Any

from .. import semconv
from ..recording import Accumulator, Attributes
from .openai_chat_stream import ChatStream, CompletionStream
from .openai_fields import FINISH_REASONS, identity, parameters, usage
from .openai_messages import input_message, message_parts, tool_definition
from .parts import Message, field, listed, message, text

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
        if output_type := _OUTPUT_TYPES.get(field(body.get("response_format") or {}, "type") or ""):
            found[semconv.OUTPUT_TYPE] = output_type
        if tools := listed(body, "tools"):
            found[semconv.TOOL_DEFINITIONS] = [tool_definition(tool) for tool in tools]
        found[semconv.INPUT_MESSAGES] = [input_message(item) for item in listed(body, "messages")]
        return found

    def response(self, response: Any) -> Attributes:
        """Identity, usage and choices of a completion."""
        found = identity(response)
        found.update(usage(field(response, "usage")))
        choices = listed(response, "choices")
        if choices:
            found[semconv.FINISH_REASONS] = [field(choice, "finish_reason") or "error" for choice in choices]
            found[semconv.OUTPUT_MESSAGES] = [_choice(choice) for choice in choices]
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


def _choice(choice: Any) -> Message:
    said = field(choice, "message")
    reason = field(choice, "finish_reason")
    if said is None:
        return message("assistant", [text(field(choice, "text"))], finish_reason=FINISH_REASONS.get(reason, reason))
    return message("assistant", message_parts(said), finish_reason=FINISH_REASONS.get(reason, reason))
