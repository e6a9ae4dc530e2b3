"""Google's Agent Development Kit: requests and responses of the model as JSON under `gcp.vertex.agent.`"""

from __future__ import annotations

from typing import Any

from ...instrument import semconv
from .attributes import SpanAttributes, as_json, parsed
from .messages import messages
from .vocabulary import put_messages

_PREFIX = "gcp.vertex.agent."


def rewrite(span: SpanAttributes) -> None:
    """Rename what ADK wrote."""
    request, response = parsed(span.take(_PREFIX + "llm_request")), parsed(span.take(_PREFIX + "llm_response"))
    if isinstance(request, dict) and request:
        span.put(semconv.OPERATION, semconv.OPERATION_GENERATE)
        span.put(semconv.REQUEST_MODEL, request.get("model"))
        config = request.get("config")
        system = config.get("system_instruction") if isinstance(config, dict) else None
        put_messages(span, [*messages(system, role="system"), *messages(request.get("contents"))], [])
    if isinstance(response, dict) and response:
        put_messages(span, [], messages(response.get("content"), role="assistant"))
        _usage(span, response.get("usage_metadata"))
    arguments, result = span.take(_PREFIX + "tool_call_args"), span.take(_PREFIX + "tool_response")
    if span.get(semconv.OPERATION) == semconv.OPERATION_TOOL:
        span.put(semconv.TOOL_ARGUMENTS, None if arguments is None else as_json(arguments))
        span.put(semconv.TOOL_RESULT, None if result is None else as_json(result))
    span.put(semconv.CONVERSATION_ID, span.take(_PREFIX + "session_id"))


def _usage(span: SpanAttributes, usage: Any) -> None:
    if isinstance(usage, dict):
        span.put_count(semconv.INPUT_TOKENS, usage.get("prompt_token_count"))
        thought = usage.get("thoughts_token_count") or 0
        answered = usage.get("candidates_token_count")
        span.put_count(semconv.OUTPUT_TOKENS, answered + thought if isinstance(answered, int) else None)
        span.put_count(semconv.REASONING_TOKENS, usage.get("thoughts_token_count"))
        span.put_count(semconv.CACHED_TOKENS, usage.get("cached_content_token_count"))
