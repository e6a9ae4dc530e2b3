"""OpenAI's Responses API: requests, responses, background runs and streams as span attributes."""

from __future__ import annotations

from typing import Any

from ... import semconv
from ...tracing import Attributes
from ..parts import (
    Message,
    Part,
    field,
    fields,
    listed,
    message,
    other,
    reasoning,
    refused,
    server_tool_call,
    text,
    tool_call,
    tool_response,
)
from ..surface import Accumulator
from .fields import identity, parameters, usage
from .messages import content_part, tool_definition

_OUTPUT_TYPES = {"json_object": "json", "json_schema": "json", "text": "text"}
_RUNNING = ("queued", "in_progress")


class Responses:
    """`/responses`."""

    operation = semconv.OPERATION_CHAT

    def request(self, body: dict[str, Any]) -> Attributes:
        """Parameters, instructions, input items and tools of a request."""
        found = parameters(body)
        found[semconv.OPENAI_API_TYPE] = "responses"
        if (effort := field(body.get("reasoning") or {}, "effort")) is not None:
            found[semconv.REQUEST_REASONING_LEVEL] = effort
        if output_type := _OUTPUT_TYPES.get(field(field(body.get("text") or {}, "format") or {}, "type") or ""):
            found[semconv.OUTPUT_TYPE] = output_type
        if isinstance(previous := body.get("previous_response_id"), str):
            found[semconv.REQUEST_PREVIOUS_RESPONSE_ID] = previous
        conversation = body.get("conversation")
        if isinstance(id_ := conversation if isinstance(conversation, str) else field(conversation or {}, "id"), str):
            found[semconv.CONVERSATION_ID] = id_
        if isinstance(instructions := body.get("instructions"), str):
            found[semconv.SYSTEM_INSTRUCTIONS] = [text(instructions)]
        if tools := listed(body, "tools"):
            found[semconv.TOOL_DEFINITIONS] = [tool_definition(tool) for tool in tools]
        given = body.get("input")
        items = [message("user", [text(given)])] if isinstance(given, str) else _messages(listed(body, "input"))
        found[semconv.INPUT_MESSAGES] = items
        return found

    def response(self, response: Any) -> Attributes:
        """Identity, usage and output items of a response; one that is still running has no outcome yet."""
        given = fields(response)
        found = identity(given)
        found.update(usage(given.get("usage")))
        status = given.get("status")
        if status in _RUNNING:
            found[semconv.RESPONSE_STATUS] = status
            return found
        items = listed(given, "output")
        reason = _finish_reason(response, status, items)
        found[semconv.FINISH_REASONS] = [reason]
        if items:
            made = _parts(items)
            found[semconv.OUTPUT_MESSAGES] = [message("assistant", made, finish_reason=reason)]
        if status == "failed":
            found[semconv.ERROR_TYPE] = field(field(response, "error") or {}, "code") or "failed"
        return found

    def accumulator(self) -> Accumulator:
        """Follows a streamed response."""
        return ResponsesStream(self)


class FetchResponse(Responses):
    """`GET /responses/{id}`: the outcome of a background run; its tokens were counted by the call that began it."""

    operation = semconv.OPERATION_FETCH

    def request(self, body: dict[str, Any]) -> Attributes:  # noqa: ARG002
        """A fetch has no body."""
        return {semconv.OPENAI_API_TYPE: "responses"}

    def response(self, response: Any) -> Attributes:
        """The outcome without token counts, which must not be added up twice."""
        found = super().response(response)
        return {name: value for name, value in found.items() if not name.startswith("gen_ai.usage.")}


class ResponsesStream:
    """Deltas until the event that carries the whole response, which then says everything better."""

    def __init__(self, surface: Responses) -> None:
        self._surface = surface
        self._response: Any = None
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._items: list[Any] = []
        self._arguments: dict[str, list[str]] = {}
        self._complete = False

    def add(self, event: Any) -> None:
        """Takes in one event."""
        kind = event.type
        if kind == "response.output_text.delta":
            self._text.append(event.delta)
        elif kind == "response.refusal.delta":
            self._refusal.append(event.delta)
        elif kind == "response.function_call_arguments.delta":
            self._arguments.setdefault(event.item_id, []).append(event.delta)
        elif kind == "response.output_item.added":
            self._items.append(event.item)
        elif (response := getattr(event, "response", None)) is not None:
            self._response = response
            self._complete = kind in ("response.completed", "response.incomplete", "response.failed")

    def attributes(self) -> Attributes:
        """What has arrived, as if it were a whole response."""
        if self._complete:
            return self._surface.response(self._response)
        found = identity(fields(self._response)) if self._response is not None else {}
        made: list[Part] = [text("".join(self._text))] if self._text else []
        if self._refusal:
            made.append(refused("".join(self._refusal)))
        for item in self._items:
            if field(item, "type") == "function_call":
                arguments = "".join(self._arguments.get(field(item, "id"), ()))
                made.append(tool_call(field(item, "call_id"), field(item, "name"), arguments))
        found[semconv.FINISH_REASONS] = ["error"]
        if made:
            found[semconv.OUTPUT_MESSAGES] = [message("assistant", made)]
        return found


def _messages(items: list[Any]) -> list[Message]:
    """Input items as messages: neighbouring items of the assistant's are one message."""
    made: list[Message] = []
    for item in items:
        one = _input_message(item)
        if made and one["role"] == "assistant" == made[-1]["role"]:
            made[-1]["parts"].extend(one["parts"])
        else:
            made.append(one)
    return made


def _input_message(item: Any) -> Message:
    if isinstance(item, str):
        return message("user", [text(item)])
    kind = field(item, "type")
    if kind in (None, "message"):
        role = field(item, "role")
        return message("system" if role == "developer" else role, _content(item))
    if isinstance(kind, str) and kind.endswith("_output"):
        return message("tool", [tool_response(field(item, "call_id"), field(item, "output"))])
    return message("assistant", _parts([item]))


def _content(item: Any) -> list[Part]:
    content = field(item, "content")
    return [text(content)] if isinstance(content, str) else [content_part(block) for block in listed(item, "content")]


def _parts(items: list[Any]) -> list[Part]:
    made: list[Part] = []
    for item in items:
        kind = field(item, "type")
        if kind == "message":
            made.extend(_content(item))
        elif kind == "function_call":
            made.append(tool_call(field(item, "call_id"), field(item, "name"), field(item, "arguments")))
        elif kind == "custom_tool_call":
            made.append(tool_call(field(item, "call_id"), field(item, "name"), field(item, "input")))
        elif kind == "reasoning":
            thoughts = [field(block, "text") or "" for block in [*listed(item, "summary"), *listed(item, "content")]]
            made.append(reasoning("\n".join(thoughts)))
        elif isinstance(kind, str) and kind.endswith("_call"):
            plain = {key: value for key, value in other(item).items() if key not in ("type", "id", "result")}
            made.append(server_tool_call(kind, field(item, "id"), field(item, "name"), plain))
        else:
            made.append(other(item))
    return made


def _finish_reason(response: Any, status: Any, items: list[Any]) -> str:
    if status == "incomplete":
        reason = field(field(response, "incomplete_details") or {}, "reason")
        return "length" if reason == "max_output_tokens" else str(reason or "length")
    if status not in (None, "completed"):
        return "error" if status == "failed" else str(status)
    called = any(field(item, "type") in ("function_call", "custom_tool_call") for item in items)
    return "tool_call" if called else "stop"
