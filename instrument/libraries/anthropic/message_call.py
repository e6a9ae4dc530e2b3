"""Anthropic's messages API: requests and responses as span attributes."""

from __future__ import annotations

from typing import Any

from ... import semconv
from ...tracing import Attributes
from ..parts import count_of, each, field, fields, listed, message
from ..surface import Accumulator
from .messages import content_parts, input_message, system_parts, tool_definition
from .stream import MessageStream

_PARAMETERS = {
    "max_tokens": semconv.REQUEST_MAX_TOKENS,
    "temperature": semconv.REQUEST_TEMPERATURE,
    "top_p": semconv.REQUEST_TOP_P,
    "top_k": semconv.REQUEST_TOP_K,
    "stop_sequences": semconv.REQUEST_STOP_SEQUENCES,
}
# The API's stop reasons under the names of the message schemas.
FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
    "refusal": "content_filter",
    "compaction": "compaction",
}


class Messages:
    """`/v1/messages`, beta or not, also on Bedrock and Vertex."""

    operation = semconv.OPERATION_CHAT

    def request(self, body: dict[str, Any]) -> Attributes:
        """Parameters, system prompt, messages and tools of a request."""
        found: Attributes = {}
        for name, value in body.items():
            attribute = _PARAMETERS.get(name)
            if attribute is not None:
                found[attribute] = value
        config = fields(body.get("output_config"))
        if (effort := config.get("effort")) is not None:
            found[semconv.REQUEST_REASONING_LEVEL] = effort
        if "output_format" in body or config.get("format") is not None:
            found[semconv.OUTPUT_TYPE] = "json"
        if system := system_parts(body.get("system")):
            found[semconv.SYSTEM_INSTRUCTIONS] = system
        if tools := listed(body, "tools"):
            found[semconv.TOOL_DEFINITIONS] = each(tool_definition, tools)
        found[semconv.INPUT_MESSAGES] = each(input_message, listed(body, "messages"))
        return found

    def response(self, response: Any) -> Attributes:
        """Identity, usage and content of a message."""
        given = fields(response)
        found = identity(given)
        found.update(usage(given.get("usage")))
        reason = given.get("stop_reason")
        found[semconv.FINISH_REASONS] = [reason or "error"]
        parts = content_parts(listed(given, "content"))
        found[semconv.OUTPUT_MESSAGES] = [
            message("assistant", parts, finish_reason=FINISH_REASONS.get(reason or "", reason))
        ]
        return found

    def accumulator(self) -> Accumulator:
        """Follows a streamed message."""
        return MessageStream(self)


def identity(response: dict[str, Any]) -> Attributes:
    """Which message it is and which model gave it, from its fields."""
    found: Attributes = {}
    for name, attribute in (("id", semconv.RESPONSE_ID), ("model", semconv.RESPONSE_MODEL)):
        if isinstance(value := response.get(name), str) and value:
            found[attribute] = value
    return found


def usage(reported: Any) -> Attributes:
    """Token counts; the API reports cached input apart, the conventions count it among the input."""
    found: Attributes = {}
    given = fields(reported)
    read, written = count_of(given.get("cache_read_input_tokens")), count_of(given.get("cache_creation_input_tokens"))
    if (fresh := count_of(given.get("input_tokens"))) is not None:
        found[semconv.INPUT_TOKENS] = fresh + (read or 0) + (written or 0)
    if (count := count_of(given.get("output_tokens"))) is not None:
        found[semconv.OUTPUT_TOKENS] = count
    if read is not None:
        found[semconv.CACHED_TOKENS] = read
    if written is not None:
        found[semconv.CACHE_WRITE_TOKENS] = written
    details = given.get("output_tokens_details")
    if details is not None and (thinking := count_of(field(details, "thinking_tokens"))) is not None:
        found[semconv.REASONING_TOKENS] = thinking
    found.update(charges(given))
    return found


def charges(reported: dict[str, Any]) -> Attributes:
    """What else the price depends on: how long the cache keeps, the provider's tools, the tier, speed and place."""
    found: Attributes = {}
    creation = reported.get("cache_creation")
    if creation is not None and (hour := count_of(field(creation, "ephemeral_1h_input_tokens"))):
        found[semconv.CACHE_WRITE_1H_TOKENS] = hour
    for name, count in fields(reported.get("server_tool_use")).items():
        if isinstance(count, int) and count:
            tool = name.removesuffix("_requests")
            found[semconv.WEB_SEARCHES if tool == "web_search" else f"{semconv.SERVER_TOOL_PREFIX}{tool}"] = count
    tier = "fast" if reported.get("speed") == "fast" else reported.get("service_tier")
    if isinstance(tier, str) and tier:
        found[semconv.SERVICE_TIER] = tier
    if isinstance(place := reported.get("inference_geo"), str) and place and place != "not_available":
        found[semconv.INFERENCE_GEO] = place
    return found
