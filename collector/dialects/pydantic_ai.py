"""Pydantic AI: the conventions' names, with an agent's and a tool's content under names of its own, in versions 1 and 2."""

from __future__ import annotations

from typing import Any

from ...instrument import semconv
from .attributes import SpanAttributes, as_json, parsed
from .messages import messages
from .vocabulary import put_messages


def rewrite(span: SpanAttributes) -> None:
    """Promote what Pydantic AI keeps under its own names."""
    given, got = span.take("tool_arguments"), span.take("tool_response")
    if span.get(semconv.OPERATION) is None and (given is not None or got is not None):
        span.put(semconv.OPERATION, semconv.OPERATION_TOOL)
    span.put(semconv.TOOL_ARGUMENTS, None if given is None else as_json(given))
    span.put(semconv.TOOL_RESULT, None if got is None else as_json(got))
    name = span.take("agent_name")
    said = parsed(span.take("pydantic_ai.all_messages", "all_messages_events"))
    if name is not None or said is not None:
        span.put(semconv.OPERATION, semconv.OPERATION_AGENT)
        span.put(semconv.AGENT_NAME, name)
    result = span.take("final_result")
    outputs = messages(as_json(result), role="assistant") if result is not None else []
    if isinstance(said, list):
        told = [one for item in said for one in _message(item)]
        if told and told[-1]["role"] == "assistant":
            last = told.pop()
            outputs = outputs or [last]
        put_messages(span, told, outputs)
    else:
        put_messages(span, [], outputs)
    events = parsed(span.take("events"))
    if isinstance(events, list) and semconv.INPUT_MESSAGES not in span:
        answers = [event for event in events if isinstance(event, dict) and event.get("event.name") == "gen_ai.choice"]
        asked = [event for event in events if event not in answers]
        put_messages(
            span,
            [one for event in asked for one in _message(event)],
            [one for event in answers for one in messages(event.get("message"), role="assistant")],
        )


def _message(event: Any) -> list[dict[str, Any]]:
    """A message, or what version 1 wrote as the event of one."""
    if isinstance(event, dict) and "parts" not in event and "content" in event:
        tool = {"tool_call_id": event.get("id")} if event.get("role") == "tool" else {}
        return messages({"role": event.get("role", "user"), "content": event["content"], **tool})
    return messages(event)
