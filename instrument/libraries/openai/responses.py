"""OpenAI's Responses API: requests, responses and background runs as span attributes."""

from __future__ import annotations

from typing import Any

from ... import semconv
from ...tracing import Attributes
from ..parts import each, field, fields, listed, message, text
from ..surface import FAILURE, Accumulator, Failure
from .background_runs import BackgroundRuns
from .fields import failure_of, identity, parameters, usage
from .messages import tool_definition
from .response_items import messages_of, parts_of
from .response_stream import CUT, ResponsesStream

_OUTPUT_TYPES = {"json_object": "json", "json_schema": "json", "text": "text"}
_RUNNING = ("queued", "in_progress")
_FAILED = ("failed", "incomplete", "cancelled")
_LENGTH = ("max_output_tokens", "max_tokens", "length")
# Tools that the provider runs and charges for.
_SERVER_TOOLS = {
    "web_search_call": semconv.WEB_SEARCHES,
    "file_search_call": semconv.FILE_SEARCHES,
    **{
        f"{name}_call": f"{semconv.SERVER_TOOL_PREFIX}{name}"
        for name in ("code_interpreter", "image_generation", "mcp")
    },
}
runs = BackgroundRuns()


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
            found[semconv.TOOL_DEFINITIONS] = each(tool_definition, tools)
        given = body.get("input")
        found[semconv.INPUT_MESSAGES] = (
            [message("user", [text(given)])] if isinstance(given, str) else messages_of(listed(body, "input"))
        )
        return found

    def response(self, response: Any) -> Attributes:
        """Identity, usage and output items of a response; one that is still running has no outcome yet."""
        found = describe(fields(response))
        if (id_ := found.get(semconv.RESPONSE_ID)) is not None:
            runs.begun(id_, counted=semconv.OUTPUT_TOKENS in found)
        return found

    def accumulator(self) -> Accumulator:
        """Follows a streamed response."""
        return ResponsesStream(self)


class FetchResponse(Responses):
    """`GET /responses/{id}`: the outcome of a background run."""

    operation = semconv.OPERATION_FETCH

    def request(self, body: dict[str, Any]) -> Attributes:  # noqa: ARG002
        """A fetch has no body."""
        return {semconv.OPENAI_API_TYPE: "responses"}

    def response(self, response: Any) -> Attributes:
        """The outcome; its token counts only where no other span has them."""
        given = fields(response)
        found = describe(given)
        id_ = found.get(semconv.RESPONSE_ID, "")
        charged = [name for name in found if name.startswith(("gen_ai.usage.", "evalspan.usage."))]
        if charged and not runs.counts(id_, background=given.get("background") is True):
            for name in (*charged, semconv.REPORTED_COST_USD):
                found.pop(name, None)
        return found


def describe(given: dict[str, Any]) -> Attributes:
    """A response from its fields."""
    found = identity(given)
    found.update(usage(given.get("usage")))
    status = given.get("status")
    if status in _RUNNING:
        found[semconv.RESPONSE_STATUS] = status
        return found
    items = listed(given, "output")
    found.update(_server_tools(items))
    failure = _failure(given, status)
    reason = _finish_reason(given, status, items)
    found[semconv.FINISH_REASONS] = [reason]
    if items:
        parts = parts_of(items)
        found[semconv.OUTPUT_MESSAGES] = [message("assistant", parts, finish_reason=reason if status != CUT else None)]
    if failure is not None:
        found[FAILURE] = failure
    return found


def _server_tools(items: list[Any]) -> Attributes:
    used: Attributes = {}
    for item in items:
        kind = field(item, "type")
        name = _SERVER_TOOLS.get(kind) if isinstance(kind, str) else None
        # Opening a page that was found is no further search.
        if name is not None and field(field(item, "action") or {}, "type") in (None, "search"):
            used[name] = used.get(name, 0) + 1
    return used


def _failure(given: dict[str, Any], status: Any) -> Failure | None:
    if status == "incomplete":
        reason = field(given.get("incomplete_details") or {}, "reason") or "incomplete"
        return Failure(str(reason), f"the response is incomplete: {reason}")
    if status in _FAILED:
        return failure_of(given.get("error"), str(status)) or Failure(str(status), f"the response is {status}")
    return None


def _finish_reason(given: dict[str, Any], status: Any, items: list[Any]) -> str:
    if status == "incomplete":
        reason = field(given.get("incomplete_details") or {}, "reason")
        return "length" if reason is None or reason in _LENGTH else str(reason)
    if status not in (None, "completed"):
        return "error" if status in ("failed", CUT) else str(status)
    called = any(field(item, "type") in ("function_call", "custom_tool_call") for item in items)
    return "tool_call" if called else "stop"
